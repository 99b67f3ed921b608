"""MC7xx, with --train: whether the model learns one batch by heart."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcli.checks.observe.locate import place_of
from modelcli.checks.observe.parameters import (
    count_params,
    group_names,
    never_run,
    show_params,
)
from modelcli.checks.record import DEFAULT_TRAIN_STEPS, CannotRun, Finding, Options, Severity
from modelcli.checks.rule import Rule, example
from modelcli.errors import UsageError
from modelcli.losses import LOSSES
from modelcli.modules import modules_of, named_parameters, parameters_of, switch_mode

if TYPE_CHECKING:
    from torch import Tensor, nn

    from modelcli.checks.observe.context import Context
    from modelcli.training.objective import Objective

_RATES = (3e-3, 3e-2)
_ENOUGH = 0.2  # of the first loss
_FEWEST_STEPS = 50  # a sound model may need as many
_MOST_FLOPS = 5e13  # some minutes on two cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfit:
    """What came of training on one batch.

    Attributes:
        unchanged: parameters that are bit by bit what they were.
    """

    samples: int
    steps: int
    loss: str
    first: float
    best: float
    unchanged: tuple[str, ...]

    @property
    def left(self) -> float:
        """The share of the first loss that is left at best."""
        return self.best / max(self.first, 1e-12)


def overfit(context: Context) -> Overfit:
    """Train on one batch, at one learning rate after the other until it fits.

    Raises:
        CannotRun: there is nothing to train, or it would take too long.
    """
    kept: Overfit | None = context.scratch.get("overfit")
    if kept is None:
        kept = context.scratch["overfit"] = _overfit(context)
    return kept


def _overfit(context: Context) -> Overfit:
    steps = context.options.train_steps
    if not context.ran.totals.trainable_params:
        raise CannotRun("there is nothing to train")
    samples = 2 if context.ran.totals.params < 1000 else 4
    flops = 6 * context.sample_macs * samples * steps
    if flops > _MOST_FLOPS:
        raise CannotRun(f"{steps} steps would take too long; --train-steps takes fewer")
    done = _best_of(context, samples, steps)
    if context.options.loss is None and done.left > _ENOUGH:
        # the loss was our choice: targets that another instance gives are within reach of any
        within = _best_of(context, samples, steps, within_reach=True)
        if within.left <= _ENOUGH:
            return within
    return done


def _best_of(context: Context, samples: int, steps: int, *, within_reach: bool = False) -> Overfit:
    """Train at one learning rate after the other until it fits; return the best."""
    best: Overfit | None = None
    for rate in _RATES:
        done = _train(context, samples, steps, rate, within_reach=within_reach)
        gc.collect()  # an optimiser and its methods hold each other, and the state is large
        if best is None or done.left < best.left:
            best = done
        if done.left <= _ENOUGH:
            break
    assert best is not None
    return best


def _train(
    context: Context, samples: int, steps: int, rate: float, *, within_reach: bool
) -> Overfit:
    import torch

    from modelcli.checks.observe.values import copy_inputs, output_tensors
    from modelcli.training.data.tensors import Split
    from modelcli.training.engine.step import EagerEngine, Learner, NonFiniteLossError

    model = _without_dropout(switch_mode(context.fresh(), True))
    inputs = context.filled(model, samples, seed=3)
    before = _checksums(model)
    name = "mse" if within_reach else context.loss or "mse"

    def call(of: nn.Module, _inputs: object) -> Tensor:
        given = copy_inputs(inputs)
        outputs = output_tensors(of(*given.args, **given.kwargs))
        if not outputs or not outputs[0].requires_grad:
            raise CannotRun("no gradient reaches the output (MC202)")
        return outputs[0]

    losses: list[float] = []
    with torch.enable_grad():
        output = call(model, ()).detach()
        objective = _objective(name, output)
        target = _target(output, objective)
        if within_reach:
            other = _without_dropout(switch_mode(context.fresh(seed=2), True))
            target = call(other, ()).detach().roll(1, 0)
            del other
        if target.numel() > context.ran.totals.trainable_params:
            raise CannotRun("it has fewer parameters than there are values to learn")
        params = [p for p in parameters_of(model) if p.requires_grad]
        learner = Learner(
            model=model, call=call, objective=objective, params=params, device=output.device,
            optimizer=torch.optim.Adam(params, lr=rate),
        )  # fmt: skip
        engine = EagerEngine(learner, check=True)
        for _ in range(steps):
            try:
                losses.append(float(engine.step([Split(inputs=(), targets=(target,))])))
            except NonFiniteLossError as error:  # whose update was not made
                losses.append(error.value)
                break
            if losses[-1] < 0.01 * losses[0]:
                break
    same = [name for name, checksum in _checksums(model).items() if checksum == before[name]]
    finite = [value for value in losses if math.isfinite(value)] or [math.inf]
    return Overfit(
        samples=samples, steps=len(losses), loss=name, first=losses[0], best=min(finite),
        unchanged=tuple(same),
    )  # fmt: skip


def _checksums(model: nn.Module) -> dict[str, str]:
    """Return a checksum of each parameter: copies would be as large as the model."""
    from modelcli.training.data.file import fingerprint

    return {name: fingerprint(p.detach()) for name, p in named_parameters(model)}


def _objective(name: str, output: Tensor) -> Objective:
    from modelcli.training.objective import Objective

    takes = LOSSES[name].takes
    if takes == "labels" and output.dim() < 2:
        raise CannotRun(f"{name} needs classes, and the output has none in dimension 1")
    objective = Objective(name, kind=takes, dtype=output.dtype)
    try:
        objective.check_output(output)
    except UsageError:
        raise CannotRun("nll takes log-probabilities, and the output is none (MC508)") from None
    return objective


def _without_dropout(model: nn.Module) -> nn.Module:
    from torch import nn

    for module in modules_of(model):
        if isinstance(module, nn.modules.dropout._DropoutNd):
            switch_mode(module, False)
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # type: ignore[assignment]
    return model


def _target(output: Tensor, objective: Objective) -> Tensor:
    """Return a target that the loss is defined for, drawn at random."""
    import torch

    generator = torch.Generator().manual_seed(5)
    spec = objective.spec
    if spec.takes == "labels":
        shape = (output.shape[0], *output.shape[2:])
        return torch.randint(0, output.shape[1], shape, generator=generator)
    if math.isfinite(spec.least) and math.isfinite(spec.most):  # one of the two ends
        ends = torch.randint(0, 2, output.shape, generator=generator).to(output.dtype)
        return spec.least + (spec.most - spec.least) * ends
    # one value a sample and channel: noise at every place is more than sound models can draw
    shape = (*output.shape[:2], *(1,) * (output.dim() - 2))
    drawn = torch.randn(shape, generator=generator).to(output.dtype).expand(output.shape)
    return drawn.abs() if spec.least == 0 else drawn


class CannotOverfit(Rule):
    """It cannot overfit one batch."""

    id = "MC701"
    title = "it cannot learn one batch by heart"
    severity = Severity.ERROR
    needs = "training"
    options = Options(train_steps=DEFAULT_TRAIN_STEPS, loss="cross_entropy")
    justified = (
        "Without --loss, the loss is a guess: a model that fits targets of its own kind (what "
        "another instance gives for other samples) is not reported."
    )
    why = (
        "A model that cannot fit a few samples will not fit thousands: it is cut, dead or bounded."
    )
    fix = "Look at the other findings; at the last activation; at what the loss expects."
    input = "8x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 32)
                self.fc2 = nn.Linear(32, 4)

            def forward(self, x):
                hidden = torch.relu(self.fc1(x))
                return torch.sigmoid(self.fc2(hidden))  # cross-entropy wants more than 0 to 1
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 32)
                self.fc2 = nn.Linear(32, 4)

            def forward(self, x):
                hidden = torch.relu(self.fc1(x))
                return self.fc2(hidden)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Train on one batch."""
        done = overfit(context)
        if not math.isfinite(done.first):
            raise CannotRun("the first loss is not finite (MC501)")
        if done.left > _ENOUGH:
            asked = context.options.train_steps
            if asked < _FEWEST_STEPS:
                raise CannotRun(f"{asked} steps say nothing: --train-steps {_FEWEST_STEPS}")
            yield self.found(
                "",
                f"{done.loss} on one batch of {done.samples} only falls from {done.first:.3g} to "
                f"{done.best:.3g} in {done.steps} steps of Adam",
            )


class NeverChanges(Rule):
    """A parameter that never changes."""

    id = "MC702"
    title = "a parameter that training never changes"
    needs = "training"
    options = Options(train_steps=DEFAULT_TRAIN_STEPS)
    why = "It is as it was initialised after every step: frozen, cut off, or not in the graph."
    fix = "See MC202 and MC203 for what cuts gradients off; requires_grad_(True) if it is frozen."
    input = "8x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.gate = nn.Linear(8, 8)
                self.fc = nn.Linear(8, 4)

            def forward(self, x):
                return self.fc(x * torch.round(torch.sigmoid(self.gate(x))))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.gate = nn.Linear(8, 8)
                self.fc = nn.Linear(8, 4)

            def forward(self, x):
                return self.fc(x * torch.sigmoid(self.gate(x)))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare the parameters after training with those before."""
        done = overfit(context)
        if done.steps < 2:
            raise CannotRun("the first loss is nothing to learn from")
        idle = never_run(context)
        unchanged = [name for name in done.unchanged if name not in idle]
        for path, names in group_names(context.plain, unchanged).items():
            yield self.found(
                path,
                f"{show_params(count_params(context.plain, names))} bit by bit the same after "
                f"{done.steps} steps of Adam",
                place=place_of(context.plain, path),
            )


RULES = (CannotOverfit, NeverChanges)

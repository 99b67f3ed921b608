"""The passes with values: one in eval mode, one in train mode, and what they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelcli.checks.observe.attributes import find_hidden
from modelcli.checks.observe.flow import Reach, gradients_are_finite, measure_reach, send_back
from modelcli.checks.observe.foreign import ModelRaised, call_model
from modelcli.checks.observe.probe.seen import Seen
from modelcli.checks.observe.probe.watch import watch_pass
from modelcli.checks.observe.state import State, take_state
from modelcli.checks.observe.values import (
    copy_inputs,
    input_tensors,
    map_inputs,
    output_tensors,
)
from modelcli.checks.record import CannotRun
from modelcli.errors import describe
from modelcli.loading.example import ExampleInputs
from modelcli.modules import named_modules, named_parameters, switch_mode


@dataclass(slots=True, kw_only=True)
class EvalPass:
    """A pass in eval mode.

    Attributes:
        model: private; its gradients are of the sum of all outputs.
        inputs: as they were given, untouched.
        leaves: the floating inputs that gradients were asked for.
        outputs: the floating outputs, detached.
        reach: for the tested output rows, the largest gradient at every sample; None where
            no gradient reaches an input.
        followed: whether gradients were asked for at the inputs, too.
        backward_error: what the backward pass raised; the gradients are not all there then.
        before, after, again: the state around two passes.
        repeated: the outputs of a second pass on the same inputs.
        changed_inputs: the inputs' values are not what they were.
    """

    model: nn.Module
    names: dict[int, str]
    inputs: ExampleInputs
    seen: Seen
    outputs: list[torch.Tensor]
    reach: Reach | None
    before: State
    after: State
    again: State
    repeated: list[torch.Tensor]
    changed_inputs: bool
    batch: int
    followed: bool
    backward_error: Exception | None = None
    gradients_finite: bool = True

    @property
    def is_random(self) -> bool:
        """Whether two passes on the same inputs gave different outputs."""
        return differ(self.outputs, self.repeated, tolerance=1e-4)


@dataclass(slots=True, kw_only=True)
class TrainPass:
    """A pass in train mode.

    Attributes:
        model: private; its gradients are of the sum of all outputs.
        outputs: the floating outputs, detached.
        backward_error: what the backward pass raised; the gradients are not all there then.
    """

    model: nn.Module
    names: dict[int, str]
    inputs: ExampleInputs
    seen: Seen
    outputs: list[torch.Tensor]
    batch: int
    backward_error: Exception | None = None


def names_of(model: nn.Module) -> dict[int, str]:
    """Return the name of every module and parameter by id, hidden ones included."""
    names: dict[int, str] = {}
    for hidden in find_hidden(model):
        names[id(hidden.value)] = hidden.name
        if isinstance(hidden.value, nn.Module):
            for path, module in named_modules(hidden.value):
                names[id(module)] = f"{hidden.name}.{path}" if path else hidden.name
            for path, parameter in named_parameters(hidden.value):
                names[id(parameter)] = f"{hidden.name}.{path}"
    for path, module in reversed(list(named_modules(model))):
        names[id(module)] = path
    for path, parameter in named_parameters(model):
        names[id(parameter)] = path
    return names


def run_eval(
    model: nn.Module,
    inputs: ExampleInputs,
    *,
    batch: int,
    follow: bool = True,
    axis: int = 0,
    reach: Sequence[int] = (),
) -> EvalPass:
    """Run a watched pass in eval mode with gradients, and once more to see what repeats.

    Args:
        model: private, with values.
        inputs: with values.
        batch: the number of samples in them.
        follow: ask for gradients at the floating inputs, too, which training does not.
        axis: of the first output, along which the samples stand.
        reach: the output rows whose dependence on every sample is to be measured.

    Raises:
        CannotRun: the pass raised, or autograd could not go back to the inputs.
    """
    switch_mode(model, False)
    names = names_of(model)
    leaves: list[torch.Tensor] = []

    def ask(_path: str, tensor: torch.Tensor) -> torch.Tensor:
        if not follow or not tensor.is_floating_point():
            return tensor.clone()
        leaves.append(tensor.clone().requires_grad_(True))
        return leaves[-1].clone()

    given = map_inputs(inputs, ask)
    before = take_state(model)
    torch.manual_seed(1)
    with torch.enable_grad():
        seen = watch_pass(model, given, known=names)
        if seen.error is not None:
            raise CannotRun(f"the pass with values raised {describe(seen.error)}")
        outputs = output_tensors(seen.output)
        reached = _reached(outputs, leaves, axis=axis, rows=reach, batch=batch)
        backward_error = send_back(seen.output)
        if follow and backward_error is not None:
            raise CannotRun(f"the backward pass raised {describe(backward_error)}")
    after = take_state(model)
    kept = [tensor.detach().clone() for tensor in outputs]
    seen.output = None
    changed = any(
        not torch.equal(a.detach(), b)
        for a, b in zip(input_tensors(given), input_tensors(inputs), strict=True)
        if not bool(torch.isnan(b).any() if b.is_floating_point() else False)
    )
    repeated = _try_again(model, inputs)
    return EvalPass(
        model=model,
        names=names,
        inputs=inputs,
        seen=seen,
        outputs=kept,
        reach=reached,
        before=before,
        after=after,
        again=take_state(model),
        repeated=repeated,
        changed_inputs=changed,
        batch=batch,
        followed=follow,
        backward_error=backward_error,
        gradients_finite=gradients_are_finite(model),
    )


def _reached(outputs: list[torch.Tensor], leaves: list[torch.Tensor], **how: Any) -> Reach | None:
    try:
        return measure_reach(outputs[0], leaves, **how) if outputs else None
    except RuntimeError as error:
        raise CannotRun(f"autograd cannot go back to the input: {describe(error)}") from error


def _try_again(model: nn.Module, inputs: ExampleInputs) -> list[torch.Tensor]:
    try:
        return run_plain(model, inputs)
    except ModelRaised as raised:  # the state that the first pass left may not fit
        raise CannotRun(f"a second pass raised {raised}") from raised


def run_train(model: nn.Module, inputs: ExampleInputs, *, batch: int) -> TrainPass:
    """Run a watched pass in train mode with numbers and gradients.

    Args:
        model: private, with values.
        inputs: with values.
        batch: the number of samples in them.

    Raises:
        CannotRun: the pass raised.
    """
    switch_mode(model, True)
    names = names_of(model)
    torch.manual_seed(2)
    with torch.enable_grad():
        seen = watch_pass(model, copy_inputs(inputs), known=names, numbers=True)
        if seen.error is not None:
            if "more than 1 " in str(seen.error):
                return TrainPass(
                    model=model, names=names, inputs=inputs, seen=seen, outputs=[], batch=batch
                )
            raise CannotRun(f"in train mode, the pass raised {describe(seen.error)}")
        outputs = output_tensors(seen.output)
        backward_error = send_back(seen.output)
    seen.output = None
    return TrainPass(
        model=model,
        names=names,
        inputs=inputs,
        seen=seen,
        outputs=[tensor.detach() for tensor in outputs],
        batch=batch,
        backward_error=backward_error,
    )


def run_plain(model: nn.Module, inputs: ExampleInputs) -> list[torch.Tensor]:
    """Run a private model without gradients on a copy of inputs; return its floating outputs.

    Raises:
        ModelRaised: its forward raised.
    """
    return [tensor.detach() for tensor in output_tensors(run_quietly(model, inputs))]


def run_quietly(model: nn.Module, inputs: ExampleInputs) -> Any:
    """Run a private model on a copy of inputs, without gradients if it can do without.

    Raises:
        ModelRaised: its forward raised in both ways.
    """
    with torch.no_grad():
        try:
            return call_model(model, copy_inputs(inputs))
        except ModelRaised as raised:
            first = raised
    try:  # forces and penalties ask for gradients inside forward
        with torch.enable_grad():
            return call_model(model, copy_inputs(inputs))
    except ModelRaised:
        raise first from None


def differ(one: list[torch.Tensor], other: list[torch.Tensor], *, tolerance: float = 1e-5) -> bool:
    """Tell whether two lists of outputs differ by more than rounding."""
    if len(one) != len(other):
        return True
    for a, b in zip(one, other, strict=True):
        if a.shape != b.shape:
            return True
        scale = float(a.detach().abs().nan_to_num().max()) if a.numel() else 0.0
        if not torch.allclose(
            a.float(), b.float(), rtol=tolerance * 10, atol=tolerance * max(scale, 1e-2),
            equal_nan=True,
        ):  # fmt: skip
            return True
    return False


def gradients(model: nn.Module) -> Mapping[str, torch.Tensor | None]:
    """Return the gradient of every trainable parameter by its first name."""
    return {n: p.grad for n, p in named_parameters(model) if p.requires_grad}

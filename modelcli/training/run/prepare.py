"""A run that is ready to start: model, data, objective and optimiser of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import torch

from modelcli.config import KEYS, RunConfig, default_lr
from modelcli.identity import count_unique
from modelcli.loading.device import DTYPES, check_precision, resolve_device
from modelcli.modules import parameters_of, tensors_of
from modelcli.training.data.tasks import build_data, total_steps
from modelcli.training.data.tensors import Data, derive_seed
from modelcli.training.distributed.batches import refuse_uncut
from modelcli.training.distributed.world import ALONE, World, one_gpu_each
from modelcli.training.engine.choose import choose_memory_format, lay_out, wants_capture
from modelcli.training.engine.step import Learner
from modelcli.training.objective import Objective
from modelcli.training.optimizer import build_optimizer, optimizer_states
from modelcli.training.run.context import fill_defaults, with_tokens
from modelcli.training.run.diagnose import explain_memory
from modelcli.training.run.loop import Plan
from modelcli.training.run.model import TrainedModel, build_trained_model, probe
from modelcli.training.run.sweep import Sweep

LargestBatch = Callable[[RunConfig, torch.device], int | None]


@dataclass(slots=True, kw_only=True)
class Run:
    """Everything that a run needs.

    Attributes:
        config: with the learning rate and the number of samples filled in.
        steps: optimiser steps in all.
        sweep: what found its learning rate, None where that was given.
        fitting: tells the largest batch that would fit, for whom memory runs out; or None.
    """

    config: RunConfig
    device: torch.device
    trained: TrainedModel
    data: Data
    learner: Learner
    steps: int
    sweep: Sweep | None = None
    fitting: Callable[[], int | None] | None = None

    def plan(self, *, narrate: bool = False) -> Plan:
        """Return how long the run trains and how often it looks."""
        train = self.config.train
        passes = self.data.draw is None and not train.overfit
        return Plan(
            steps=self.steps,
            batch_size=train.batch_size,
            accumulate=train.accumulate,
            log_every=train.log_every or max(1, self.steps // 20),
            lr=self.config.optimizer.lr or 0.0,
            schedule=self.config.schedule,
            narrate=narrate,
            epochs=self.steps / self.steps_per_epoch if passes else 0.0,
        )

    @property
    def world(self) -> World:
        """The processes that train it together."""
        return self.learner.world

    @property
    def state_bytes(self) -> int:
        """About how many bytes a checkpoint has: the model and what its optimiser keeps."""
        held = tensors_of(self.trained.model)
        kept = optimizer_states(self.learner.optimizer)
        return sum(t.nbytes for t in held) + kept * sum(p.nbytes for p in self.learner.params)

    @property
    def steps_per_epoch(self) -> float:
        """Optimiser steps of one pass over the samples."""
        train = self.config.train
        return len(self.data.train) / (train.batch_size * train.accumulate)


def prepare(
    config: RunConfig,
    world: World = ALONE,
    given: Collection[str] = tuple(KEYS),
    largest: LargestBatch | None = None,
) -> Run:
    """Build everything that a run needs.

    Args:
        largest: tells the largest batch that fits a device, for whom memory runs out.
        world: the processes that train together.
        given: the keys that a user set; of the others, some go by the model.

    Raises:
        ModelcliError: the device is not there, the model does not build or run, or the data, the
            loss or the optimiser does not fit.
    """
    device = one_gpu_each(resolve_device(config.train.device), world)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # streams and graphs go by the current one
    check_precision(device, dtype=config.train.dtype, amp=config.train.amp)
    torch.set_float32_matmul_precision(config.train.matmul_precision)
    if world.shards:
        from modelcli.training.distributed.refusals import refuse_optimizer

        refuse_optimizer(config.optimizer)
    with explain_memory(config.train.batch_size):
        trained = build_trained_model(config, device, world)
    trained = with_tokens(trained, config, device)
    config = fill_defaults(config, trained, given)
    # several processes would have to try together
    fitting = None
    if largest is not None and not world.launched:
        fitting = lambda: largest(config, device)  # noqa: E731
    with explain_memory(config.train.batch_size, fitting, samples=config.data.samples):
        run = _assemble(config, trained, device, world)
    run.fitting = fitting
    if world.size > 1:
        refuse_uncut(run.data, trained.source.label)
    return run


def _assemble(
    config: RunConfig, trained: TrainedModel, device: torch.device, world: World = ALONE
) -> Run:
    """Put a run together from its configuration and its model."""
    data = build_data(config, trained, device)
    objective = Objective(
        config.loss.name,
        kind=data.kind,
        kwargs=config.loss.kwargs,
        device=device,
        dtype=DTYPES[config.train.dtype],
    )
    objective.check_targets(data.train.targets, trained.out_shapes)
    if objective.spec.output == "log-probabilities":
        objective.check_output(probe(trained, device))
    params = [param for param in parameters_of(trained.model) if param.requires_grad]
    config = _complete(config, data, params)
    capturable = wants_capture(config.train.engine, device)
    learner = Learner(
        model=trained.model,
        call=trained.call,
        objective=objective,
        optimizer=build_optimizer(
            config.optimizer, params, device=device, capturable=capturable, fuses=not world.shards
        ),
        params=params,
        device=device,
        amp=config.train.amp,
        clip=config.train.clip,
        scaler=torch.amp.GradScaler(device.type) if config.train.amp == "fp16" else None,
        world=world,
    )
    return Run(
        config=config,
        device=device,
        trained=trained,
        data=data,
        learner=learner,
        steps=total_steps(config, data),
    )


def _complete(config: RunConfig, data: Data, params: list[torch.nn.Parameter]) -> RunConfig:
    """Fill in what depends on the model: the learning rate and the number of samples."""
    if config.optimizer.lr is None:
        lr = default_lr(config.optimizer.name, count_unique(params))
        config = replace(config, optimizer=replace(config.optimizer, lr=lr))
    if config.data.samples is None:
        held_out = len(data.held_out) if data.held_out is not None else 0
        samples = 0 if data.draw is not None else len(data.train) + held_out
        config = replace(config, data=replace(config.data, samples=samples))
    return replace(config, data=replace(config.data, name=data.name))


def seed_drawing(seed: int, world: World) -> None:
    """Seed dropout and whatever else draws while a run goes on.

    Processes draw apart: with one seed for all, the parts of a batch would get equal masks.
    """
    torch.manual_seed(derive_seed(seed, 5, world.rank) if world.rank else seed)


def prepare_memory_format(run: Run, tell: Callable[[str], None]) -> None:
    """Turn a model and its images to channels-last where that is asked for or faster."""
    asked, learner = run.config.train.channels_last, run.learner
    batch = run.data.train.slice(0, run.config.train.batch_size)
    if run.world.shards:  # which cuts by rows
        return
    if not batch.targets or not choose_memory_format(asked, learner, batch, tell):
        return
    call = learner.call
    learner.call = lambda model, inputs: call(model, lay_out(inputs, torch.channels_last))

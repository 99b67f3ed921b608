"""One run from its configuration to its record."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from modelcli.config import RunConfig, default_lr
from modelcli.errors import RunFailedError
from modelcli.loading.types import InputRequest
from modelcli.training.data import Batches, Data
from modelcli.training.device import (
    check_precision,
    device_label,
    peak_memory_bytes,
    resolve_device,
)
from modelcli.training.loop import Listener, Loop, Plan, Point, Progress
from modelcli.training.measure import (
    Recovered,
    Score,
    evaluate,
    loss_floor,
    recover_linear,
)
from modelcli.training.objective import Objective, untrained_loss
from modelcli.training.optimizer import build_optimizer
from modelcli.training.setup import Subject, build_data, build_subject, total_steps
from modelcli.training.step import EagerEngine, Learner, NonFiniteLossError


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run came to.

    Attributes:
        target: the model.
        device: where it ran, for people.
        params: unique parameters; trainable_params is the part that is trained.
        loss_floor: loss of the true function, None where that is not known.
        expected_first_loss: of a model that knows nothing, and how that is derived.
        held_out: the score on samples that were not learned from.
        recovered: the linear map that was learned, where the task is one.
        points: the curve.
    """

    target: str
    device: str
    dtype: str
    seed: int
    engine: str
    params: int
    trainable_params: int
    steps: int
    planned_steps: int
    batch_size: int
    data: str
    data_description: str
    samples: int
    held_out_samples: int
    objective: str
    first_loss: float | None
    last_loss: float | None
    best_loss: float | None
    expected_first_loss: float
    expected_first_loss_is: str
    floor: float | None
    classes: int
    best_accuracy: float | None
    held_out: Score | None
    accuracy: float | None
    recovered: Recovered | None
    samples_per_s: float
    flops_per_s: float | None
    elapsed_s: float
    peak_memory_bytes: int
    points: tuple[Point, ...]
    run_dir: str | None = None
    diverged: bool = False


@dataclass(slots=True, kw_only=True)
class Run:
    """A prepared run."""

    config: RunConfig
    device: torch.device
    subject: Subject
    data: Data
    learner: Learner
    steps: int


def prepare(config: RunConfig, request: InputRequest) -> Run:
    """Build everything that a run needs.

    Raises:
        ModelcliError: the device is not there, the model does not build or run, or the data, the
            loss or the optimiser does not fit.
    """
    device = resolve_device(config.train.device)
    check_precision(device, dtype=config.train.dtype, amp=config.train.amp)
    torch.set_float32_matmul_precision(config.train.matmul_precision)
    subject = build_subject(config, request, device)
    data = build_data(config, subject, device)
    objective = Objective(config.loss.name, kind=data.kind, kwargs=config.loss.kwargs)
    params = [param for param in subject.model.parameters() if param.requires_grad]
    config = _with_lr(config, params)
    learner = Learner(
        model=subject.model,
        call=subject.call,
        objective=objective,
        optimizer=build_optimizer(config.optimizer, params, device=device),
        params=params,
        device=device,
        amp=config.train.amp,
        clip=config.train.clip,
        scaler=torch.amp.GradScaler(device.type) if config.train.amp == "fp16" else None,
    )
    return Run(
        config=config,
        device=device,
        subject=subject,
        data=data,
        learner=learner,
        steps=total_steps(config, data),
    )


def _with_lr(config: RunConfig, params: list[torch.nn.Parameter]) -> RunConfig:
    if config.optimizer.lr is not None:
        return config
    lr = default_lr(config.optimizer.name, sum(param.numel() for param in params))
    return replace(config, optimizer=replace(config.optimizer, lr=lr))


def train(run: Run, listener: Listener, *, narrate: bool = False) -> Record:
    """Train a prepared run to its end and measure it.

    Raises:
        RunFailedError: the loss stopped being finite.
        Interrupted: a signal asked the run to stop.
    """
    config, learner = run.config, run.learner
    torch.manual_seed(config.train.seed)  # dropout and whatever else a model draws while it runs
    engine = EagerEngine(learner, check=run.device.type == "cpu")
    batches = Batches(
        run.data,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        same=config.train.overfit,
    )
    loop = Loop(learner, engine, batches, make_plan(run, narrate=narrate), listener)
    try:
        loop.run()
    except NonFiniteLossError as error:
        raise _diverged(run, loop.progress, error) from None
    return make_record(run, loop.progress, engine.name)


def make_plan(run: Run, *, narrate: bool) -> Plan:
    """Return how long a run trains and how often it looks."""
    train = run.config.train
    return Plan(
        steps=run.steps,
        batch_size=train.batch_size,
        accumulate=train.accumulate,
        log_every=train.log_every or max(1, run.steps // 20),
        lr=run.config.optimizer.lr or 0.0,
        schedule=run.config.schedule,
        narrate=narrate,
    )


def _diverged(run: Run, progress: Progress, error: NonFiniteLossError) -> RunFailedError:
    return RunFailedError(
        f"the loss is {error.value} at step {progress.step + 1}",
        f"a smaller --lr than {run.config.optimizer.lr:g} or --clip 1 may keep it finite",
    )


def make_record(run: Run, progress: Progress, engine: str) -> Record:
    """Measure a trained model and put everything that is known of the run together."""
    config, data, learner = run.config, run.data, run.learner
    batch = config.train.batch_size
    held_out = None
    if data.held_out is not None:
        held_out = evaluate(learner, data, data.held_out, batch_size=max(batch, 256))
    known = data.held_out or data.train
    if data.complete is not None:
        known = type(known)(inputs=known.inputs, targets=data.complete(known.inputs))
    expected, how = untrained_loss(learner.objective, known.targets, data.facts.classes)
    points = progress.points
    accuracy = held_out.accuracy if held_out else (points[-1].accuracy if points else None)
    rate = progress.timed_steps / progress.timed_s if progress.timed_s else 0.0
    return Record(
        target=config.model.target,
        device=device_label(run.device),
        dtype=config.train.dtype,
        seed=config.train.seed,
        engine=engine,
        params=sum(param.numel() for param in run.subject.model.parameters()),
        trainable_params=sum(param.numel() for param in learner.params),
        steps=progress.step,
        planned_steps=run.steps,
        batch_size=batch,
        data=data.name,
        data_description=data.facts.description,
        samples=len(data.train),
        held_out_samples=len(data.held_out) if data.held_out else 0,
        objective=learner.objective.name,
        first_loss=progress.first_loss,
        last_loss=points[-1].loss if points else None,
        best_loss=progress.best_loss if points else None,
        expected_first_loss=expected,
        expected_first_loss_is=how,
        floor=loss_floor(learner, data),
        classes=data.facts.classes,
        best_accuracy=data.facts.best_accuracy,
        held_out=held_out,
        accuracy=accuracy,
        recovered=recover_linear(learner, data),
        samples_per_s=rate * batch * config.train.accumulate,
        flops_per_s=None,
        elapsed_s=progress.elapsed_s,
        peak_memory_bytes=peak_memory_bytes(run.device),
        points=tuple(points),
    )

"""The data of a configuration: which task, how many samples, and whether they are fresh."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import RunConfig
from modelcli.errors import UsageError
from modelcli.loading.device import DTYPES
from modelcli.registry import Task
from modelcli.training.data import synthetic
from modelcli.training.data.tensors import (
    CHUNK_BYTES,
    Data,
    DataFacts,
    Draw,
    SampleSpec,
    Split,
    Tensors,
    count_samples,
    derive_seed,
    new_generator,
)
from modelcli.training.objective import float_tensors
from modelcli.training.run.model import PROBED_SAMPLES, TrainedModel, build_model

TASK_DATA = {
    Task.CLASSIFICATION: "prototypes",
    Task.REGRESSION: "linear",
    Task.RECONSTRUCTION: "reconstruction",
    Task.OTHER: "teacher",
}
NOISE = {"prototypes": 1.0, "linear": 0.1, "reconstruction": 0.0}


def build_data(config: RunConfig, trained: TrainedModel, device: torch.device) -> Data:
    """Make what the model is trained on.

    Raises:
        UsageError: the data does not fit the model, or has fewer samples than a batch.
    """
    name = config.data.name
    if name == "auto":
        name = TASK_DATA[trained.task]
    _refuse_unused(name, config)
    if name in NOISE or name == "teacher":
        return _synthetic(name, config, trained, device)
    from modelcli.training.data.digits import load_real

    return load_real(name, config, trained.specs, trained.out_shapes, device)


def _refuse_unused(name: str, config: RunConfig) -> None:
    """Refuse settings of another kind of data, which would be silently left out."""
    for key, value, users in (
        ("data.noise", config.data.noise, tuple(NOISE)),
        ("data.weight", config.data.weight, ("linear",)),
        ("data.bias", config.data.bias, ("linear",)),
    ):
        if value is not None and name not in users:
            raise UsageError(
                f"{key} is set, and the data '{name}' has none", f"it is for {', '.join(users)}"
            )


def _synthetic(name: str, config: RunConfig, trained: TrainedModel, device: torch.device) -> Data:
    dtype = DTYPES[config.train.dtype]
    seed = config.train.seed
    kind = "labels" if name == "prototypes" else "values"
    complete = None
    if name == "teacher":
        task: Any = _teacher(config, trained, device)
        facts = DataFacts(description="the standardised outputs of a second network")
        if any(shape[:1] != (PROBED_SAMPLES,) for shape in trained.out_shapes):
            # rows of the output are not rows of the input, so targets go with whole batches
            complete = task.targets
            task = lambda count, generator: _inputs_only(trained.specs, count, generator)  # noqa: E731
    else:
        task, facts = _supervised(name, config, trained, device)
    fresh = wants_fresh(config)
    n_train, n_held = count_samples(
        0 if fresh else config.data.samples,
        validation=config.data.validation,
        wanted=wanted_samples(config),
        sample_bytes=sum(spec.sample_bytes for spec in trained.specs),
        batch_size=config.train.batch_size,
    )
    draw = _cast(task, dtype)
    train = draw(n_train, new_generator(device, seed, 1))
    held_out = draw(n_held, new_generator(device, seed, 2)) if n_held else None
    if isinstance(task, synthetic.Prototypes):
        facts = replace(facts, best_accuracy=task.best_accuracy(held_out or train))
    return Data(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        train=train,
        held_out=held_out,
        facts=facts,
        draw=draw if fresh else None,
        together=_together(name, trained, complete is None),
        complete=complete,
    )


def wants_fresh(config: RunConfig) -> bool:
    """Tell whether made-up data is drawn anew for every step.

    It is where a run has a number of steps and none of samples: nothing is then seen twice.
    """
    if config.train.overfit:
        return False
    if config.data.samples is None:
        return config.train.epochs is None
    return config.data.samples == 0


def _together(name: str, trained: TrainedModel, independent: bool) -> int:
    """Return how many fresh samples to draw at once."""
    if name == "teacher" and independent:
        return 1  # a batch at a time, whose targets take a forward pass
    return max(1, CHUNK_BYTES // sum(spec.sample_bytes for spec in trained.specs))


def wanted_samples(config: RunConfig) -> int | None:
    """Return how many samples a run of known length draws, None if it goes by epochs."""
    train = config.train
    if train.overfit:
        return train.batch_size
    return None if train.steps is None else train.steps * train.batch_size * train.accumulate


def _supervised(
    name: str, config: RunConfig, trained: TrainedModel, device: torch.device
) -> tuple[Any, DataFacts]:
    spec = _single_float_input(name, trained)
    out_shape = _row_shape(name, trained)
    noise = NOISE[name] if config.data.noise is None else config.data.noise
    seed = config.train.seed
    if name == "prototypes":
        if len(out_shape) != 1 or out_shape[0] < 2:
            raise UsageError(
                f"prototypes need scores (B, classes), and '{trained.source.label}' gives "
                f"{('B', *out_shape)}".replace("'B'", "B"),
                "use --data linear, or --data teacher, which takes any output",
            )
        return synthetic.make_prototypes(
            spec, classes=out_shape[0], noise=noise, device=device, seed=seed
        )
    if name == "linear":
        return synthetic.make_linear(
            spec,
            out_shape,
            weight=config.data.weight,
            bias=config.data.bias,
            noise=noise,
            device=device,
            seed=seed,
        )
    if out_shape != spec.shape:
        raise UsageError(
            f"reconstruction needs an output like the input {spec.shape}, and "
            f"'{trained.source.label}' gives {out_shape}",
            "use --data teacher, which takes any output",
        )
    return synthetic.make_patterns(spec, noise=noise, device=device, seed=seed)


def _single_float_input(name: str, trained: TrainedModel) -> SampleSpec:
    if len(trained.specs) == 1 and trained.specs[0].dtype.is_floating_point:
        return trained.specs[0]
    raise UsageError(
        f"{name} needs a model with one floating-point input, and '{trained.source.label}' "
        f"takes {', '.join(str(spec.dtype)[6:] for spec in trained.specs)}",
        "use --data teacher, which takes any input",
    )


def _row_shape(name: str, trained: TrainedModel) -> tuple[int, ...]:
    """Return the shape of one row of the first output, which must have a row for each sample."""
    shape = trained.out_shapes[0]
    if shape[:1] == (PROBED_SAMPLES,) and len(shape) > 1:
        return shape[1:]
    raise UsageError(
        f"{name} needs an output row for each input row, and '{trained.source.label}' gives "
        f"{shape} for two rows",
        "use --data teacher, which takes any output",
    )


def _teacher(config: RunConfig, trained: TrainedModel, device: torch.device) -> synthetic.Teacher:
    seed = derive_seed(config.train.seed, 5)
    network = build_model(trained.source, config, device, seed).eval().requires_grad_(False)
    call = trained.call

    def tensors(model: nn.Module, inputs: Tensors) -> Tensors:
        return float_tensors(call(model, inputs))

    shift, scale = _statistics(network, tensors, trained.specs, config, device)
    return synthetic.Teacher(
        network=network,
        call=tensors,
        specs=trained.specs,
        shift=shift,
        scale=scale,
        batch_size=config.train.batch_size,
    )


def _statistics(
    network: nn.Module,
    call: Callable[[nn.Module, Tensors], Tensors],
    specs: tuple[SampleSpec, ...],
    config: RunConfig,
    device: torch.device,
) -> tuple[Tensors, Tensors]:
    """Return mean and standard deviation of each output, over everything but its features."""
    inputs = synthetic.draw_inputs(specs, 256, new_generator(device, config.train.seed, 6))
    with torch.no_grad():
        outputs = [output.float() for output in call(network, inputs)]
    shift, scale = [], []
    for output in outputs:
        rows = output.flatten(0, -2) if output.dim() > 1 else output.reshape(-1, 1)
        deviation = rows.std(0, correction=0)
        shift.append(rows.mean(0))
        # a constant output has no deviation to divide by
        scale.append(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))
    return tuple(shift), tuple(scale)


def _inputs_only(specs: tuple[SampleSpec, ...], count: int, generator: torch.Generator) -> Split:
    return Split(inputs=synthetic.draw_inputs(specs, count, generator), targets=())


def _cast(task: Draw, dtype: torch.dtype) -> Draw:
    """Return a task whose floating-point tensors have the run's element type."""

    def draw(count: int, generator: torch.Generator) -> Split:
        split = task(count, generator)
        inputs = tuple(_as(tensor, dtype) for tensor in split.inputs)
        if split.targets is split.inputs:
            return Split(inputs=inputs, targets=inputs)
        return Split(inputs=inputs, targets=tuple(_as(each, dtype) for each in split.targets))

    return draw


def _as(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def total_steps(config: RunConfig, data: Data) -> int:
    """Return how many optimiser steps a run takes; the last pass is finished."""
    if config.train.steps is not None:
        return config.train.steps
    per_step = config.train.batch_size * config.train.accumulate
    return max(1, math.ceil(len(data.train) * (config.train.epochs or 1) / per_step))

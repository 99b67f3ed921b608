"""From a configuration to a model, its data and its objective."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import RunConfig
from modelcli.errors import ModelcliError, RunFailedError, UsageError
from modelcli.loading.build import build
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source, describe, find_source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.registry import Task
from modelcli.training import synthetic
from modelcli.training.data import (
    CHUNK_BYTES,
    Data,
    Draw,
    Facts,
    SampleSpec,
    Split,
    Tensors,
    check_batch,
    count_samples,
    derive_seed,
    new_generator,
)
from modelcli.training.device import DTYPES
from modelcli.training.objective import float_tensors
from modelcli.training.optimizer import freeze

TASK_DATA = {
    Task.CLASSIFICATION: "prototypes",
    Task.REGRESSION: "linear",
    Task.RECONSTRUCTION: "reconstruction",
    Task.OTHER: "teacher",
}
NOISE = {"prototypes": 1.0, "linear": 0.1, "reconstruction": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model on its device, and how it is called.

    Attributes:
        specs: its tensor inputs, without the batch.
        fixed: plain values that ``forward`` gets besides.
        out_shapes: shapes of its floating-point outputs for a batch of two.
        frozen: names of parameters that are not trained.
    """

    source: Source
    model: nn.Module
    specs: tuple[SampleSpec, ...]
    fixed: Mapping[str, Any]
    out_shapes: tuple[tuple[int, ...], ...]
    frozen: list[str] = field(default_factory=list)

    @property
    def call(self) -> Callable[[nn.Module, Tensors], Any]:
        """The function that runs a model on the tensors of a batch."""
        return make_call(self.specs, self.fixed)

    @property
    def task(self) -> Task:
        """What the registry says of the model, or what its shapes suggest."""
        if self.source.spec is not None:
            return self.source.spec.task
        scores = len(self.out_shapes) == 1 and len(self.out_shapes[0]) == 2
        if scores and self.out_shapes[0][1] > 1 and self._one_float_input:
            return Task.CLASSIFICATION
        return Task.OTHER

    @property
    def _one_float_input(self) -> bool:
        return len(self.specs) == 1 and self.specs[0].dtype.is_floating_point


def make_call(
    specs: tuple[SampleSpec, ...], fixed: Mapping[str, Any]
) -> Callable[[nn.Module, Tensors], Any]:
    """Return the function that passes tensors to ``forward`` by position or by name."""
    if len(specs) == 1 and not specs[0].name and not fixed:
        return lambda model, inputs: model(inputs[0])
    names = tuple(spec.name for spec in specs)

    def call(model: nn.Module, inputs: Tensors) -> Any:
        pairs = list(zip(names, inputs, strict=True))
        positional = [tensor for name, tensor in pairs if not name]
        keyword = {name: tensor for name, tensor in pairs if name}
        return model(*positional, **keyword, **fixed)

    return call


def build_subject(config: RunConfig, request: InputRequest, device: torch.device) -> Subject:
    """Build the model of a configuration with its seed, on its device.

    Raises:
        ModelcliError: the target does not lead to a model that can be trained: it does not
            build, has no parameters, or its forward pass fails.
    """
    source = find_source(config.model.target, config.model.kwargs)
    model = _build(source, config, device, config.train.seed)
    _check_trainable(source, model)
    frozen = freeze(model, config.train.freeze)
    specs, fixed = _sample_specs(source, model, request, DTYPES[config.train.dtype])
    subject = Subject(source=source, model=model, specs=specs, fixed=fixed, out_shapes=())
    outputs = probe(subject, device)
    shapes = tuple(tuple(each.shape) for each in outputs)
    return replace(subject, out_shapes=shapes, frozen=frozen)


def _build(source: Source, config: RunConfig, device: torch.device, seed: int) -> nn.Module:
    model = build(source, execution="real", seed=seed, guard_bytes=None)
    if config.model.init:
        from modelcli.loading.initialise import initialise

        initialise(model, config.model.init, seed=seed)
    return model.to(device, DTYPES[config.train.dtype])


def _check_trainable(source: Source, model: nn.Module) -> None:
    if any(param.requires_grad for param in model.parameters()):
        return
    pitfall = source.spec.pitfall if source.spec is not None else None
    if any(True for _ in model.parameters()):
        message = f"'{source.label}' has no parameter that requires a gradient"
        raise UsageError(message, "its constructor freezes all of them")
    hint = pitfall or "a model without parameters has nothing to learn"
    raise UsageError(f"'{source.label}' has no parameters to train", hint)


def _sample_specs(
    source: Source, model: nn.Module, request: InputRequest, dtype: torch.dtype
) -> tuple[tuple[SampleSpec, ...], dict[str, Any]]:
    if source.spec is not None and not request.specs:
        shape = (1, *source.spec.input_shape_for(source.kwargs))
        request = replace(request, specs=(InputSpec(shape=shape, dtype=source.spec.input_dtype),))
    example = find_inputs(source, model, request)
    if example is None:
        from modelcli.loading.inference import infer_inputs
        from modelcli.loading.meta import copy_to_meta

        example = infer_inputs(copy_to_meta(model).eval(), request, source.label)
    high = _smallest_vocabulary(model)
    specs = [_spec(value, "", dtype, high) for value in example.args]
    fixed: dict[str, Any] = {}
    for name, value in example.kwargs.items():
        if isinstance(value, Tensor) and value.dim():
            specs.append(_spec(value, name, dtype, high))
        else:
            fixed[name] = value
    return tuple(specs), fixed


def _spec(value: Any, name: str, dtype: torch.dtype, high: int) -> SampleSpec:
    if not isinstance(value, Tensor) or not value.dim():
        raise UsageError(
            "train needs inputs that are tensors with a batch dimension",
            "give them with --input [NAME:][DTYPE:]SHAPE",
        )
    kind = dtype if value.is_floating_point() else value.dtype
    return SampleSpec(shape=tuple(value.shape[1:]), dtype=kind, name=name, high=high)


def _smallest_vocabulary(model: nn.Module) -> int:
    sizes = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
    return min(sizes, default=2)


def probe(subject: Subject, device: torch.device) -> Tensors:
    """Return the floating-point outputs for two samples, leaving the model as it was.

    Raises:
        RunFailedError: the forward pass raised.
    """
    model = subject.model
    modes = [(module, module.training) for module in model.modules()]
    devices = [device] if device.type == "cuda" else []
    generator = new_generator(device, 0)
    inputs = synthetic.draw_inputs(subject.specs, 2, generator)
    model.eval()
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            return float_tensors(subject.call(model, inputs))
    except ModelcliError:
        raise
    except Exception as error:  # whatever the user's forward raises
        shown = " ".join(str(tuple(x.shape)) for x in inputs)
        raise RunFailedError(
            f"forward of '{subject.source.label}' failed on {shown}: {describe(error)}",
            f"'modelcli summary {subject.source.label}' shows the layers up to it; "
            "--input gives another shape",
        ) from error
    finally:
        for module, training in modes:
            module.training = training


def build_data(config: RunConfig, subject: Subject, device: torch.device) -> Data:
    """Make what the model is trained on.

    Raises:
        UsageError: the data does not fit the model, or has fewer samples than a batch.
    """
    name = config.data.name
    if name == "auto":
        name = TASK_DATA[subject.task]
    if name in NOISE or name == "teacher":
        return _synthetic(name, config, subject, device)
    from modelcli.training.real_data import load_real

    return load_real(name, config, subject.specs, subject.out_shapes, device)


def _synthetic(name: str, config: RunConfig, subject: Subject, device: torch.device) -> Data:
    dtype = DTYPES[config.train.dtype]
    seed = config.train.seed
    kind = "labels" if name == "prototypes" else "values"
    complete = None
    if name == "teacher":
        task: Any = _teacher(config, subject, device)
        facts = Facts(description="the standardised outputs of a second network")
        if any(shape[:1] != (2,) for shape in subject.out_shapes):
            # rows of the output are not rows of the input, so targets go with whole batches
            complete = task.targets
            task = lambda count, generator: _inputs_only(subject.specs, count, generator)  # noqa: E731
    else:
        task, facts = _supervised(name, config, subject, device)
    fresh = wants_fresh(config)
    n_train, n_held = count_samples(
        0 if fresh else config.data.samples,
        validation=config.data.validation,
        wanted=wanted_samples(config),
        sample_bytes=sum(spec.sample_bytes for spec in subject.specs),
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
        together=_together(name, subject, complete is None),
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


def _together(name: str, subject: Subject, independent: bool) -> int:
    """Return how many fresh samples to draw at once."""
    if name == "teacher" and independent:
        return 1  # a batch at a time, whose targets take a forward pass
    return max(1, CHUNK_BYTES // sum(spec.sample_bytes for spec in subject.specs))


def wanted_samples(config: RunConfig) -> int | None:
    """Return how many samples a run of known length draws, None if it goes by epochs."""
    train = config.train
    if train.overfit:
        return train.batch_size
    return None if train.steps is None else train.steps * train.batch_size * train.accumulate


def _supervised(
    name: str, config: RunConfig, subject: Subject, device: torch.device
) -> tuple[Any, Facts]:
    spec = _single_float_input(name, subject)
    out_shape = _row_shape(name, subject)
    noise = NOISE[name] if config.data.noise is None else config.data.noise
    seed = config.train.seed
    if name == "prototypes":
        if len(out_shape) != 1 or out_shape[0] < 2:
            raise UsageError(
                f"prototypes need scores (B, classes), and '{subject.source.label}' gives "
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
            f"'{subject.source.label}' gives {out_shape}",
            "use --data teacher, which takes any output",
        )
    return synthetic.make_patterns(spec, noise=noise, device=device, seed=seed)


def _single_float_input(name: str, subject: Subject) -> SampleSpec:
    if len(subject.specs) == 1 and subject.specs[0].dtype.is_floating_point:
        return subject.specs[0]
    raise UsageError(
        f"{name} needs a model with one floating-point input, and '{subject.source.label}' "
        f"takes {', '.join(str(spec.dtype)[6:] for spec in subject.specs)}",
        "use --data teacher, which takes any input",
    )


def _row_shape(name: str, subject: Subject) -> tuple[int, ...]:
    """Return the shape of one row of the first output, which must have a row for each sample."""
    shape = subject.out_shapes[0]
    if shape[:1] == (2,) and len(shape) > 1:
        return shape[1:]
    raise UsageError(
        f"{name} needs an output row for each input row, and '{subject.source.label}' gives "
        f"{shape} for two rows",
        "use --data teacher, which takes any output",
    )


def _teacher(config: RunConfig, subject: Subject, device: torch.device) -> synthetic.Teacher:
    seed = derive_seed(config.train.seed, 5) % 2**63
    network = _build(subject.source, config, device, seed).eval().requires_grad_(False)
    call = subject.call

    def tensors(model: nn.Module, inputs: Tensors) -> Tensors:
        return float_tensors(call(model, inputs))

    shift, scale = _statistics(network, tensors, subject.specs, config, device)
    return synthetic.Teacher(
        network=network, call=tensors, specs=subject.specs, shift=shift, scale=scale
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
        deviation = rows.std(0)
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


__all__ = [
    "Subject",
    "build_data",
    "build_subject",
    "check_batch",
    "make_call",
    "probe",
    "total_steps",
    "wanted_samples",
]

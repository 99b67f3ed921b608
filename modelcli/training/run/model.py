"""The model of a configuration: built with its seed, on its device, with the inputs it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import ARRAY_SUFFIXES, RunConfig
from modelcli.errors import ModelcliError, RunFailedError, UsageError, describe
from modelcli.isolation import importable, modes_kept, preserved_state
from modelcli.loading.build import build
from modelcli.loading.device import DTYPES
from modelcli.loading.example import ExampleInputs
from modelcli.loading.find import find_source
from modelcli.loading.grammar import make_request
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest
from modelcli.modules import modules_of, move, parameters_of, switch_mode
from modelcli.registry import ModelSpec, Task
from modelcli.training.data.data_set import PROBED_SAMPLES
from modelcli.training.data.file import file_input
from modelcli.training.data.inputs import draw_inputs
from modelcli.training.data.tensors import (
    SampleSpec,
    Tensors,
    new_generator,
)
from modelcli.training.distributed.batch_norm import share_norms
from modelcli.training.distributed.world import ALONE, World
from modelcli.training.objective import float_tensors
from modelcli.training.optimizer import freeze
from modelcli.training.run.token_model import TokenModel


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model on its device, and how it is called.

    Attributes:
        specs: its tensor inputs, without the batch.
        fixed: plain values that ``forward`` gets besides.
        out_shapes: shapes of its floating-point outputs for a batch of two.
        remarks: what was done that a person may not expect.
        tokens: what it does with tokens; None of a model that is trained on something else.
    """

    source: Source
    model: nn.Module
    specs: tuple[SampleSpec, ...]
    fixed: Mapping[str, Any]
    out_shapes: tuple[tuple[int, ...], ...]
    remarks: tuple[str, ...] = ()
    tokens: TokenModel | None = None

    @property
    def call(self) -> Callable[[nn.Module, Tensors], Any]:
        """The function that runs a model on the tensors of a batch."""
        return make_call(self.specs, self.fixed)

    @property
    def task(self) -> Task:
        """What the registry says of the model, or what its shapes suggest."""
        if self.source.spec is None and self.tokens is not None:
            return Task.LANGUAGE
        return task_of(self.source.spec, self.out_shapes, self._one_float_input)

    @property
    def _one_float_input(self) -> bool:
        return len(self.specs) == 1 and self.specs[0].dtype.is_floating_point


def task_of(
    spec: ModelSpec | None, out_shapes: Sequence[tuple[int, ...]], one_float_input: bool
) -> Task:
    """Return what the registry says of a model, or what its shapes suggest."""
    if spec is not None:
        return spec.task
    scores = len(out_shapes) == 1 and len(out_shapes[0]) == 2
    if scores and out_shapes[0][1] > 1 and one_float_input:
        return Task.CLASSIFICATION
    return Task.OTHER


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


def build_trained_model(
    config: RunConfig, device: torch.device, world: World = ALONE
) -> TrainedModel:
    """Build the model of a configuration with its seed, on its device, or this process's part.

    Raises:
        ModelcliError: the target does not lead to a model that can be trained: it does not
            build, has no parameters, or its forward pass fails.
    """
    request = make_request(config.data.input, None, config.data.kwarg)
    with preserved_state():  # a file may build its model while it is imported
        torch.manual_seed(config.train.seed)
        source = find_source(config.model.target, config.model.kwargs)
    if source.spec is None and not request.specs and config.data.name.endswith(ARRAY_SUFFIXES):
        request = replace(request, specs=(file_input(Path(config.data.name)),))
    with importable(source.folder):  # a forward may import what lies beside it
        remarks: list[str] = []
        if world.shards:
            model, example = _build_cut(source, config, device, world, request, remarks)
        else:
            model = build_model(source, config, device, config.train.seed)
            check_trainable(source, model)
            example = find_inputs(source, model, request)
        freeze(model, config.train.freeze)
        remarks += share_norms(model, world, config.train.batch_norm)
        specs, fixed = _sample_specs(model, example, DTYPES[config.train.dtype])
        trained = TrainedModel(
            source=source, model=model, specs=specs, fixed=fixed, out_shapes=(),
            remarks=tuple(remarks),
        )  # fmt: skip
        return probed(trained, device)


def probed(trained: TrainedModel, device: torch.device) -> TrainedModel:
    """Return a model with the shapes of its outputs.

    Raises:
        RunFailedError: the forward pass raised.
    """
    shapes = tuple(tuple(each.shape) for each in probe(trained, device))
    return replace(trained, out_shapes=shapes)


def build_model(source: Source, config: RunConfig, device: torch.device, seed: int) -> nn.Module:
    """Build a model with a seed, initialised as asked for, on a device."""
    model = build(source, execution="real", seed=seed, guard_bytes=None)
    if config.model.init:
        from modelcli.initialise.apply import initialise

        initialise(model, config.model.init, seed=seed)
    return move(model, device, DTYPES[config.train.dtype])


def check_trainable(source: Source, model: nn.Module) -> None:
    """Check that a model has something to learn.

    Raises:
        UsageError: it has no parameters, or all of them are frozen.
    """
    if any(param.requires_grad for param in parameters_of(model)):
        return
    pitfall = source.spec.pitfall if source.spec is not None else None
    if any(True for _ in parameters_of(model)):
        message = f"'{source.label}' has no parameter that requires a gradient"
        raise UsageError(message, "its constructor freezes all of them")
    hint = pitfall or "a model without parameters has nothing to learn"
    raise UsageError(f"'{source.label}' has no parameters to train", hint)


def _build_cut(
    source: Source,
    config: RunConfig,
    device: torch.device,
    world: World,
    request: InputRequest,
    remarks: list[str],
) -> tuple[nn.Module, ExampleInputs]:
    """Build this process's part of a model, once it is known that it can be cut."""
    from modelcli.training.distributed.refusals import refuse_model
    from modelcli.training.distributed.sharding import Cutter
    from modelcli.training.distributed.units import find_units

    meta = build(source, execution="meta")
    check_trainable(source, meta)
    example = find_inputs(source, meta, request)
    units = world.decide(find_units(source, meta, example))
    refuse_model(meta, units.paths)
    if units.reason:
        remarks.append(f"fsdp: one block, the whole model: {units.reason}")
    return Cutter(source, config, units.paths, device, world).build(meta, remarks.append), example


def _sample_specs(
    model: nn.Module, example: ExampleInputs, dtype: torch.dtype
) -> tuple[tuple[SampleSpec, ...], dict[str, Any]]:
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
    sizes = [m.num_embeddings for m in modules_of(model) if isinstance(m, nn.Embedding)]
    return min(sizes, default=2)


def probe(trained: TrainedModel, device: torch.device) -> Tensors:
    """Return the floating-point outputs for two samples, leaving the model as it was.

    Raises:
        RunFailedError: the forward pass raised.
    """
    inputs = draw_inputs(trained.specs, PROBED_SAMPLES, new_generator(device, 0))
    try:
        return run_quietly(trained, inputs)
    except ModelcliError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's forward raises
        shown = " ".join(str(tuple(x.shape)) for x in inputs)
        raise RunFailedError(
            f"forward of '{trained.source.label}' failed on {shown}: {describe(error)}",
            f"'modelcli summary {trained.source.label}' shows the layers up to it; "
            "--input gives another shape",
        ) from error


def run_quietly(trained: TrainedModel, inputs: Tensors) -> Tensors:
    """Return the floating-point outputs in evaluation mode, leaving everything as it was."""
    model, device = trained.model, inputs[0].device
    devices = [device] if device.type == "cuda" else []
    with modes_kept(model), torch.random.fork_rng(devices=devices), torch.no_grad():
        switch_mode(model, False)
        return float_tensors(trained.call(model, inputs))

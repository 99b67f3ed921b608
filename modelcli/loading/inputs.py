"""Example inputs: the grammar of ``--input``, the models' own conventions, and inference."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from modelcli.errors import UsageError, describe
from modelcli.loading.source import Source
from modelcli.loading.types import InputRecord, InputRequest, InputSpec

_SMALL_INTEGER_NUMEL = 1 << 20  # ids up to here stay real on meta, so that masks can be looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleInputs:
    """Arguments for one call of ``forward``, and where they came from."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    records: tuple[InputRecord, ...] = ()


def find_inputs(source: Source, model: nn.Module, request: InputRequest) -> ExampleInputs | None:
    """Return inputs from the request, the registry or the model's convention; None: infer them.

    Tensors are on meta where floating point, real and zero where they are ids.

    Raises:
        UsageError: a named input that ``forward`` does not take.
    """
    extra = dict(request.kwargs)
    check_forward_names(model, [s.name for s in request.specs if s.name] + list(extra))
    _check_count(model, request)
    if request.specs:
        found = from_specs(request.specs, model, origin="--input")
    elif source.spec is not None:
        spec = source.spec
        shape = (1, *spec.input_shape_for(source.kwargs))
        found = from_specs(
            [InputSpec(shape=shape, dtype=spec.input_dtype)], model, origin="registry"
        )
    else:
        convention = _from_convention(source, model)
        if convention is None:
            return None
        found = convention
    found = dataclasses.replace(found, kwargs={**found.kwargs, **extra})
    return with_batch_size(found, request.batch_size)


def _check_count(model: nn.Module, request: InputRequest) -> None:
    """Check that ``forward`` takes as many inputs without a name as are given."""
    parameters = forward_parameters(model)
    if not parameters or any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return
    takes = [
        n for n, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    given = sum(spec.name is None for spec in request.specs)
    if given > len(takes):
        raise UsageError(
            f"forward of {type(model).__name__} takes {len(takes)} input(s), {given} were given",
            f"it takes {', '.join(takes)}"
            if takes
            else "it takes only keywords: --input NAME:SHAPE",
        )


def check_forward_names(model: nn.Module, names: Sequence[str]) -> None:
    """Check names against the signature of ``forward``.

    Raises:
        UsageError: a name that it does not take.
    """
    from modelcli.errors import suggest

    parameters = forward_parameters(model)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [n for n, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
    for name in names:
        if name not in known:
            close = suggest(name, known)
            did = f"did you mean '{close}'? " if close else ""
            raise UsageError(
                f"forward of {type(model).__name__} takes no '{name}'",
                f"{did}it takes {', '.join(known) or 'nothing'}",
            )


def forward_parameters(model: nn.Module) -> dict[str, inspect.Parameter]:
    """Return the parameters of ``forward``; empty where it has no signature."""
    try:
        return dict(inspect.signature(model.forward).parameters)
    except (TypeError, ValueError):
        return {}


def model_dtype(model: nn.Module) -> torch.dtype:
    """Return the floating-point type of a model's first parameter, or torch's default."""
    for parameter in model.parameters():
        if parameter.dtype.is_floating_point and parameter.dtype.itemsize >= 2:
            return parameter.dtype
    return torch.get_default_dtype()


def from_specs(specs: Iterable[InputSpec], model: nn.Module, *, origin: str) -> ExampleInputs:
    """Make tensors of given shapes; without a dtype an embedding's input is ids, others floats."""
    args: list[torch.Tensor] = []
    kwargs: dict[str, torch.Tensor] = {}
    records: list[InputRecord] = []
    for spec in specs:
        dtype = torch_dtype(spec.dtype) if spec.dtype else _guess_dtype(spec, model)
        tensor = make_tensor(spec.shape, dtype)
        if spec.name is None:
            args.append(tensor)
        else:
            kwargs[spec.name] = tensor
        records.append(_record(spec.name or str(len(args) - 1), tensor, origin))
    return ExampleInputs(args=tuple(args), kwargs=kwargs, records=tuple(records))


def _guess_dtype(spec: InputSpec, model: nn.Module) -> torch.dtype:
    if spec.name and ("ids" in spec.name or spec.name.endswith("mask")):
        return torch.int64
    for module in model.modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            return torch.int64 if len(spec.shape) <= 2 else model_dtype(model)
        if any(True for _ in module.children()):
            continue
        if any(p is not None for p in module._parameters.values()):
            break
    return model_dtype(model)


def make_tensor(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Return an example tensor: floats on meta; small ids and masks real, all zero or true."""
    numel = math.prod(shape)
    if dtype.is_floating_point or dtype.is_complex or numel > _SMALL_INTEGER_NUMEL:
        return torch.empty(tuple(shape), dtype=dtype, device="meta")
    if dtype is torch.bool:
        return torch.ones(tuple(shape), dtype=dtype)
    return torch.zeros(tuple(shape), dtype=dtype)


def torch_dtype(name: str) -> torch.dtype:
    """Return torch's element type of a name that the grammar has accepted."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise UsageError(f"this torch has no dtype '{name}'", "use float32, int64, bool, bfloat16")
    return dtype


def _record(name: str, tensor: torch.Tensor, origin: str) -> InputRecord:
    return InputRecord(
        name=name, dtype=str(tensor.dtype)[6:], shape=tuple(tensor.shape), origin=origin
    )


def with_batch_size(inputs: ExampleInputs, batch_size: int | None) -> ExampleInputs:
    """Replace the first dimension of every tensor, if a batch size is given."""
    if batch_size is None:
        return inputs

    def resize(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim():
            shape = (batch_size, *value.shape[1:])
            return value[:1].expand(shape).contiguous() if value.shape[0] else value
        if type(value) in (tuple, list):
            return type(value)(resize(item) for item in value)
        if type(value) is dict:
            return {key: resize(item) for key, item in value.items()}
        return value

    return ExampleInputs(
        args=tuple(resize(arg) for arg in inputs.args),
        kwargs={key: resize(value) for key, value in inputs.kwargs.items()},
        records=tuple(
            dataclasses.replace(r, shape=(batch_size, *r.shape[1:])) if r.shape else r
            for r in inputs.records
        ),
    )


def example_from(value: Any, origin: str, *, lead: str = "") -> ExampleInputs | None:
    """Turn what a convention gives (a tensor, a tuple of them or a dict) into inputs on meta."""
    if isinstance(value, torch.Tensor):
        value = (value,)
    if isinstance(value, Mapping):
        kwargs = {str(key): to_example(item) for key, item in value.items() if item is not None}
        records = record_inputs(kwargs.items(), origin)
        return ExampleInputs(kwargs=kwargs, records=records)
    if isinstance(value, (tuple, list)):
        args = tuple(to_example(item) for item in value)
        records = record_inputs(((str(i), arg) for i, arg in enumerate(args)), origin)
        return ExampleInputs(args=args, records=records)
    return None


def record_inputs(pairs: Iterable[tuple[str, Any]], origin: str) -> tuple[InputRecord, ...]:
    """Return one record for each tensor inside the named arguments."""
    from modelcli.nested import tensors_in

    records: list[InputRecord] = []
    for name, value in pairs:
        found = list(tensors_in(value))
        for number, tensor in enumerate(found):
            suffix = f".{number}" if len(found) > 1 else ""
            records.append(_record(name + suffix, tensor, origin))
    return tuple(records)


def to_example(value: Any) -> Any:
    """Move floating tensors to meta; keep small integer ones as they are, on the CPU."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point() or value.is_complex() or value.numel() > _SMALL_INTEGER_NUMEL:
            return value.detach().to("meta")
        return value.detach().cpu() if not value.is_meta else torch.zeros_like(value, device="cpu")
    if type(value) in (tuple, list):
        return type(value)(to_example(item) for item in value)
    if type(value) is dict:
        return {key: to_example(item) for key, item in value.items()}
    return value


def on_meta(inputs: ExampleInputs) -> ExampleInputs:
    """Return the same inputs without the values of floating tensors."""
    return dataclasses.replace(
        inputs,
        args=tuple(to_example(arg) for arg in inputs.args),
        kwargs={key: to_example(value) for key, value in inputs.kwargs.items()},
    )


def _from_convention(source: Source, model: nn.Module) -> ExampleInputs | None:
    method = getattr(type(model), "example_inputs", None)
    if callable(method):
        return example_from(_asked(lambda: method(model), source), "example_inputs()")
    array = getattr(model, "example_input_array", None)
    if array is not None:
        return example_from(array, "example_input_array")
    if source.convention is not None:
        found = source.convention(model)
        if found is not None:
            value, origin = found
            return _from_shapes(value, model, origin)
    return _library_convention(model)


def _from_shapes(value: Any, model: nn.Module, origin: str) -> ExampleInputs | None:
    if isinstance(value, InputSpec):
        value = (value,)
    if isinstance(value, tuple) and value and all(isinstance(v, InputSpec) for v in value):
        return from_specs(value, model, origin=origin)
    return example_from(value, origin)


def _library_convention(model: nn.Module) -> ExampleInputs | None:
    """Follow what timm and transformers models say of themselves, however they were made."""
    pretrained = getattr(model, "pretrained_cfg", None)
    if isinstance(pretrained, Mapping) and pretrained.get("input_size"):
        spec = InputSpec(shape=(1, *pretrained["input_size"]))
        return from_specs([spec], model, origin="pretrained_cfg")
    if hasattr(model, "main_input_name") and hasattr(model, "config"):
        from modelcli.loading.providers.transformers_inputs import transformers_inputs

        return transformers_inputs(model)
    return None


def _asked(method: Callable[[], Any], source: Source) -> Any:
    try:
        return method()
    except Exception as error:  # the user's code
        raise UsageError(
            f"example_inputs() of '{source.label}' failed: {describe(error)}",
            "mend it, or give the inputs with --input",
        ) from error

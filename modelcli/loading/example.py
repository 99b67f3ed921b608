"""Example inputs as tensors: from shapes, from what a model offers, at another batch size."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from modelcli.errors import UsageError
from modelcli.identity import shape_of
from modelcli.loading.bundles import bundled
from modelcli.loading.nests import gather
from modelcli.loading.types import InputRecord, InputSpec
from modelcli.modules import children_of, modules_of, parameters_of
from modelcli.nested import map_tensors, named_tensors_in

_SMALL_INTEGER_NUMEL = 1 << 20  # ids up to here stay real on meta, so that masks can be looked at
_STRING_KEY = re.compile(r"\['(\w+)'\]")  # batch['x'] is batch.x, as --input writes it


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleInputs:
    """Arguments for one call of ``forward``, and where they came from.

    Attributes:
        records: one for each tensor.
        remarks: what a reader should know of inputs that were guessed.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    records: tuple[InputRecord, ...] = ()
    remarks: tuple[str, ...] = ()


def forward_parameters(model: nn.Module) -> dict[str, inspect.Parameter]:
    """Return the parameters of ``forward``; empty where it has no signature."""
    try:
        return dict(inspect.signature(model.forward).parameters)
    except (TypeError, ValueError):
        return {}


def model_dtype(model: nn.Module) -> torch.dtype:
    """Return the floating-point type of a model's first parameter, or torch's default."""
    for parameter in parameters_of(model):
        if parameter.dtype.is_floating_point and parameter.dtype.itemsize >= 2:
            return parameter.dtype
    return torch.get_default_dtype()


def from_specs(specs: Iterable[InputSpec], model: nn.Module, *, origin: str) -> ExampleInputs:
    """Make tensors of given shapes; without a dtype an embedding's input is ids, others floats.

    Raises:
        UsageError: parts of one argument do not go together.
    """
    args: list[torch.Tensor] = []
    parts: list[tuple[str, torch.Tensor]] = []
    records: list[InputRecord] = []
    for spec in specs:
        dtype = torch_dtype(spec.dtype) if spec.dtype else _guess_dtype(spec, model)
        tensor = make_tensor(spec, dtype)
        if spec.name is None:
            args.append(tensor)
        else:
            parts.append((spec.name, tensor))
        records.append(_record(spec.name or str(len(args) - 1), tensor, origin))
    try:
        kwargs = bundled(model, gather(parts))
    except ValueError as error:
        raise UsageError(f"inputs do not go together: {error}", "see the --input options") from None
    return ExampleInputs(args=tuple(args), kwargs=kwargs, records=tuple(records))


def _guess_dtype(spec: InputSpec, model: nn.Module) -> torch.dtype:
    if spec.name and ("ids" in spec.name or spec.name.endswith("mask")):
        return torch.int64
    for module in modules_of(model):
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            return torch.int64 if len(spec.shape) <= 2 else model_dtype(model)
        if any(True for _ in children_of(module)):
            continue
        if any(p is not None for p in module._parameters.values()):
            break
    return model_dtype(model)


def make_tensor(spec: InputSpec, dtype: torch.dtype) -> torch.Tensor:
    """Return an example tensor: floats on meta unless their values are given; small ids real.

    Without values, ids are all 0 and masks all true; a span draws them, always the same.
    """
    shape, numel = spec.shape, math.prod(spec.shape)
    is_number = dtype.is_floating_point or dtype.is_complex
    if numel > _SMALL_INTEGER_NUMEL or (is_number and spec.values is None and spec.span is None):
        return torch.empty(shape, dtype=dtype, device="meta")
    if spec.values is not None:
        return torch.as_tensor(spec.values, dtype=dtype).reshape(shape)
    if spec.span is not None:
        return _drawn(shape, spec.span, dtype)
    return torch.full(shape, dtype is torch.bool, dtype=dtype)


def _drawn(shape: Sequence[int], span: tuple[float, float], dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    low, high = span
    if dtype.is_floating_point or dtype.is_complex:
        return (torch.rand(shape, generator=generator) * (high - low) + low).to(dtype)
    return torch.randint(
        int(low), max(int(high), int(low) + 1), tuple(shape), generator=generator
    ).to(dtype)


def torch_dtype(name: str) -> torch.dtype:
    """Return torch's element type of a name that the grammar has accepted."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise UsageError(f"this torch has no dtype '{name}'", "use float32, int64, bool, bfloat16")
    return dtype


def _record(name: str, tensor: torch.Tensor, origin: str) -> InputRecord:
    return InputRecord(
        name=name, dtype=str(tensor.dtype)[6:], shape=shape_of(tensor), origin=origin
    )


def with_batch_size(inputs: ExampleInputs, batch_size: int | None) -> ExampleInputs:
    """Replace the first dimension of every tensor, if a batch size is given."""
    if batch_size is None:
        return inputs

    def resize(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.dim() or not tensor.shape[0]:
            return tensor
        return tensor[:1].expand(batch_size, *tensor.shape[1:]).contiguous()

    return dataclasses.replace(
        inputs,
        args=map_tensors(inputs.args, resize),
        kwargs=map_tensors(dict(inputs.kwargs), resize),
        records=tuple(
            dataclasses.replace(r, shape=(batch_size, *r.shape[1:])) if r.shape else r
            for r in inputs.records
        ),
    )


def example_from(
    value: Any, origin: str, parameters: Mapping[str, inspect.Parameter] | None = None
) -> ExampleInputs | None:
    """Turn what a convention gives (a tensor, a tuple of them or a dict) into inputs on meta.

    What is inside may be nested as deep as it likes.

    Args:
        parameters: of the ``forward`` that takes it; they name what is nested.
    """
    if isinstance(value, torch.Tensor):
        value = (value,)
    if isinstance(value, Mapping):
        kwargs = {str(key): to_example(item) for key, item in value.items() if item is not None}
        records = record_inputs(kwargs.items(), origin)
        return ExampleInputs(kwargs=kwargs, records=records)
    if isinstance(value, (tuple, list)):
        args = tuple(to_example(item) for item in value)
        names = argument_names(args, parameters or {})
        records = record_inputs(zip(names, args, strict=True), origin)
        return ExampleInputs(args=args, records=records)
    return None


def argument_names(
    args: Sequence[Any], parameters: Mapping[str, inspect.Parameter]
) -> Iterator[str]:
    """Yield what to call positional arguments: a tensor by its place, a nest by its parameter."""
    named = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    for number, arg in enumerate(args):
        is_nest = not isinstance(arg, torch.Tensor) and number < len(named)
        yield named[number] if is_nest else str(number)


def record_inputs(pairs: Iterable[tuple[str, Any]], origin: str) -> tuple[InputRecord, ...]:
    """Return one record for each tensor inside the named arguments: ``batch.x``, ``xs[0]``."""
    return tuple(
        _record(name + _STRING_KEY.sub(r".\1", path), tensor, origin)
        for name, value in pairs
        for path, tensor in named_tensors_in(value)
    )


def to_example(value: Any) -> Any:
    """Move floating tensors of a nest to meta; keep small integer ones on the CPU as they are."""
    return map_tensors(value, _example)


def _example(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_nested or tensor.layout is not torch.strided:
        return tensor.detach()  # what it holds is known by its values alone
    if tensor.is_floating_point() or tensor.is_complex() or tensor.numel() > _SMALL_INTEGER_NUMEL:
        return tensor.detach().to("meta")
    return tensor.detach().cpu() if not tensor.is_meta else torch.zeros_like(tensor, device="cpu")


def on_meta(inputs: ExampleInputs) -> ExampleInputs:
    """Return the same inputs without the values of floating tensors."""
    return dataclasses.replace(
        inputs,
        args=to_example(inputs.args),
        kwargs=to_example(dict(inputs.kwargs)),
    )


def with_values(inputs: ExampleInputs, device: torch.device) -> ExampleInputs:
    """Give the floating inputs values, from a generator of their own."""
    generator = torch.Generator().manual_seed(0)

    def fill(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_meta:
            return tensor.detach().to(device, copy=True)
        if tensor.is_floating_point():
            return torch.rand(tensor.shape, generator=generator, device=device).to(tensor.dtype)
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)

    return dataclasses.replace(
        inputs,
        args=map_tensors(inputs.args, fill),
        kwargs=map_tensors(dict(inputs.kwargs), fill),
    )

"""The receptive field of every call of an observed pass, branches and all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from modelcli.errors import RunFailedError
from modelcli.feature_maps.field import (
    Field,
    after_layer,
    all_of_it,
    cut,
    input_field,
    lose,
    merge,
    permute,
    pick,
    reshape,
)
from modelcli.feature_maps.of_call import layer_of
from modelcli.feature_maps.record import LayerResult, Shape
from modelcli.feature_maps.refusal import ShapeError, show_dims
from modelcli.feature_maps.row import MapRow
from modelcli.tracing.record import Call, Trace
from modelcli.tracing.vocabulary import Trait, traits


def trace_rows(trace: Trace) -> tuple[MapRow, ...]:
    """Return the layers of a model that change a feature map, in the order of execution.

    Raises:
        RunFailedError: the arithmetic gives another shape than the one observed, or refuses what
            torch carried out; either is a mistake of ours and must not be passed over.
    """
    results = [_compute(call) for call in trace.calls]
    flow = _Flow(*_input_places(trace, results))
    rows = []
    for call, result in zip(trace.calls, results, strict=True):
        field = flow.take(call, result)
        if result is not None:
            rows.append(_row(trace, call, result, field))
    return tuple(rows)


def _row(trace: Trace, call: Call, result: LayerResult, field: Field) -> MapRow:
    node = trace.nodes[call.node]
    total = sum(prod(shape) for shape in node.output_shapes) * max(node.calls, 1)
    width = node.output_bytes // total if total and not node.output_bytes % total else 0
    dims = len(result.axes) or len(field.sizes)
    return MapRow(
        path=call.path,
        type=call.type,
        result=result,
        field=field,
        batched=len(result.input_shape) > dims + 1,
        index=call.index,
        activation_bytes=prod(result.output_shape) * width or None,
        params=node.own_params if call.kind == "module" else None,
    )


def _compute(call: Call) -> LayerResult | None:
    layer = layer_of(call)
    if layer is None or not call.output_shapes:
        return None
    observed = call.output_shapes[0]
    try:
        result = layer.apply(call.input_shapes[0])
    except ShapeError as error:
        raise RunFailedError(
            f"'{call.path}' ({call.type}) gave {show_dims(observed)}, which the formula refuses",
            f"{error.message}; this is a mistake in modelcli, please report it",
        ) from None
    if result.output_shape != observed:
        raise RunFailedError(
            f"'{call.path}' ({call.type}) gave {show_dims(observed)}, and its formula "
            f"{show_dims(result.output_shape)}",
            "this is a mistake in modelcli, please report it with the layer's arguments",
        )
    return result


def _input_places(trace: Trace, results: Sequence[LayerResult | None]) -> tuple[Shape, int]:
    """Return the shape of the input that is a map, and how many of its axes are places."""
    spatial = next((len(r.axes) for r in results if r is not None and r.axes), 0)
    shapes = [record.shape for record in trace.inputs if record.is_floating]
    shapes = shapes or [record.shape for record in trace.inputs]
    for shape in shapes:
        if spatial and len(shape) > spatial:
            return shape, spatial
    return (shapes[0], 0) if shapes else ((), 0)


class _Flow:
    """The fields of the calls so far, by index."""

    def __init__(self, shape: Shape, dims: int) -> None:
        self.shape = shape
        self.input = input_field(shape, dims)
        self.fields: list[Field] = []

    def take(self, call: Call, result: LayerResult | None) -> Field:
        self.fields.append(self._after(call, result))
        return self.fields[-1]

    def _of(self, source: int | None, shape: Shape) -> Field:
        if source is not None and 0 <= source < len(self.fields):
            field = self.fields[source]
            another = len(field.axes) != len(shape)  # output of that call than the first
            return all_of_it([field], self.input.sizes, len(shape)) if another else field
        if source == -1 and shape == self.shape:
            return self.input
        return all_of_it([], self.input.sizes, len(shape))

    def _after(self, call: Call, result: LayerResult | None) -> Field:
        output = call.output_shapes[0] if call.output_shapes else ()
        if not call.input_shapes:
            return all_of_it([], self.input.sizes, len(output))
        sources = call.sources or (None,) * len(call.input_shapes)
        fields = [
            self._of(source, shape)
            for source, shape in zip(sources, call.input_shapes, strict=True)
        ]
        if result is not None:
            return after_layer(fields[0], result)
        field = _after_other(call, fields, output)
        if field is None or len(field.axes) != len(output):
            return all_of_it(fields, self.input.sizes, len(output))
        return field


def _after_other(call: Call, fields: Sequence[Field], output: Shape) -> Field | None:
    """Return the field behind a call that is no layer of the arithmetic; None: it sees all."""
    known = traits(call.base)
    first, shape = fields[0], call.input_shapes[0]
    if Trait.LOOKS_EVERYWHERE in known:
        return None
    if Trait.DENSE in known:
        return lose(first, (-1,), keep=True)
    if Trait.REDUCES in known:
        return _reduce(call, first)
    if Trait.PERMUTES in known:
        return _permute(call, first)
    if Trait.JOINS in known and all(len(f.axes) == len(output) for f in fields):
        along = call.geometry.get("dim", 0)
        along = along if isinstance(along, int) else 0
        return merge(fields, call.input_shapes, output, along=along)
    if Trait.RESHAPES in known:
        return reshape(first, shape, output)
    if Trait.PARTS in known:
        field = _sliced(call, first, shape)
        return _part(first, shape, output) if field is None else field
    if _broadcasts(call.input_shapes, output):
        return merge(fields, call.input_shapes, output)
    return None


def _reduce(call: Call, field: Field) -> Field | None:
    dims = call.geometry.get("dim", call.geometry.get("args", (None,))[0])
    if dims is None:
        return None
    over = (dims,) if isinstance(dims, int) else tuple(dims)
    if not all(isinstance(dim, int) for dim in over):
        return None
    return lose(field, over, keep=bool(call.geometry.get("keepdim", False)))


def _permute(call: Call, field: Field) -> Field | None:
    rank = len(field.axes)
    geometry = call.geometry
    name = call.base.lower()
    if name == "permute":
        order = geometry.get("dims", geometry.get("args"))
        if order is None or len(order) != rank:
            return None
        return permute(field, [dim % rank for dim in order])
    one, other = geometry.get("dim0"), geometry.get("dim1")
    if name in ("t", "mt"):
        one, other = -1, -2
    if not isinstance(one, int) or not isinstance(other, int) or rank < 2:
        return None
    order = list(range(rank))
    order[one], order[other] = order[other], order[one]
    return permute(field, order)


def _part(field: Field, shape: Shape, output: Shape) -> Field | None:
    """Return the field of a slice: axes of equal size keep their meaning, others lose it."""
    if len(shape) == len(output):
        kept = zip(field.axes, shape, output, strict=True)
        return field if all(axis is None or a == b for axis, a, b in kept) else None
    return reshape(field, shape, output)


def _sliced(call: Call, field: Field, shape: Shape) -> Field | None:
    """Return the field behind ``x[...]``, ``narrow`` or ``select``.

    Args:
        call: with its index, as far as that is made of plain values.
        field: what the cells see before.
        shape: the sizes before.

    Returns:
        None where the index is not known or is a tensor, or the call is another one.
    """
    index = _index(call.base, call.geometry, len(shape))
    if index is None:
        return None
    taken = sum(item is not None and item is not ... for item in index)
    at = index.index(...) if ... in index else len(index)
    rest = (slice(None),) * (len(shape) - taken)
    sizes = iter(shape)
    position = 0  # of the axis that the next item takes
    for item in (*index[:at], *rest, *index[at + 1 :]):
        if item is None:
            axes = (*field.axes[:position], None, *field.axes[position:])
            field = replace(field, axes=axes)
        elif isinstance(item, slice):
            first, _, step = item.indices(next(sizes))
            if (first, step) != (0, 1):
                field = cut(field, position, first, step)
        else:
            field = pick(field, position, item % next(sizes))
            continue
        position += 1
    return field


def _index(name: str, given: Mapping[str, Any], rank: int) -> tuple[Any, ...] | None:
    """Return an index as ``x[...]`` takes it, None where it is not made of plain values."""
    whole = slice(None)
    if name == "getitem" and "index" in given:
        index = given["index"]
        index = index if isinstance(index, tuple) else (index,)
        plain = all(item is None or item is ... or _is_cell(item) for item in index)
        return index if plain and index.count(...) <= 1 else None
    if name not in ("narrow", "select") or not isinstance(given.get("dim"), int):
        return None
    before = (whole,) * (given["dim"] % rank)
    start = given.get("start" if name == "narrow" else "index")
    if not isinstance(start, int):
        return None
    if name == "select":
        return (*before, start)
    length = given.get("length")
    return (*before, slice(start, start + length)) if isinstance(length, int) else None


def _is_cell(item: Any) -> bool:
    return isinstance(item, slice) or (isinstance(item, int) and not isinstance(item, bool))


def _broadcasts(shapes: Sequence[Shape], output: Shape) -> bool:
    """Tell whether an element-wise function of these shapes could give this output."""
    for shape in shapes:
        if len(shape) > len(output):
            return False
        tail = output[len(output) - len(shape) :]
        if any(size not in (1, wanted) for size, wanted in zip(shape, tail, strict=True)):
            return False
    return True

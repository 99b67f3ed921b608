"""The receptive field of every call of an observed pass, branches and all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from modelcli.errors import RunFailedError
from modelcli.feature_maps.field import (
    Field,
    after_layer,
    all_of_it,
    input_field,
    lose,
    merge,
    permute,
    reshape,
)
from modelcli.feature_maps.of_call import layer_of
from modelcli.feature_maps.parts import sliced
from modelcli.feature_maps.record import LayerResult, Shape
from modelcli.feature_maps.refusal import ShapeError, show_dims
from modelcli.feature_maps.row import MapRow
from modelcli.tracing.record import Call, Trace
from modelcli.tracing.vocabulary import Trait, traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call with what the arithmetic says of it.

    Attributes:
        result: None for calls that are no layer of the arithmetic.
        field: what the output sees of the model's input.
    """

    call: Call
    result: LayerResult | None
    field: Field


def follow(trace: Trace) -> tuple[Step, ...]:
    """Return every call of a pass with its arithmetic and its receptive field.

    Raises:
        RunFailedError: the arithmetic gives another shape than the one observed, or refuses what
            torch carried out; either is a mistake of ours and must not be passed over.
    """
    results = [_compute(call) for call in trace.calls]
    flow = _Flow(*_input_places(trace, results))
    return tuple(
        Step(call=call, result=result, field=flow.take(call, result))
        for call, result in zip(trace.calls, results, strict=True)
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
        field = sliced(call, first, shape)
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
        cut = [i for i, (a, b) in enumerate(zip(shape, output, strict=True)) if a != b]
        if all(field.axes[i] is None for i in cut):
            return field
        return None
    return reshape(field, shape, output)


def _broadcasts(shapes: Sequence[Shape], output: Shape) -> bool:
    """Tell whether an element-wise function of these shapes could give this output."""
    for shape in shapes:
        if len(shape) > len(output):
            return False
        tail = output[len(output) - len(shape) :]
        if any(size not in (1, wanted) for size, wanted in zip(shape, tail, strict=True)):
            return False
    return True


def trace_rows(trace: Trace) -> tuple[MapRow, ...]:
    """Return the layers of a model that change a feature map, in the order of execution.

    Raises:
        RunFailedError: a formula and the shape observed differ.
    """
    return tuple(_from_step(step, trace) for step in follow(trace) if step.result is not None)


def _from_step(step: Step, trace: Trace) -> MapRow:
    result = step.result
    assert result is not None  # trace_rows keeps no other
    node = trace.nodes[step.call.node]
    numel = prod(step.call.output_shapes[0]) if step.call.output_shapes else 0
    total = sum(prod(shape) for shape in node.output_shapes) * max(node.calls, 1)
    width = node.output_bytes // total if total and not node.output_bytes % total else 0
    dims = len(result.axes) or len(step.field.sizes)
    return MapRow(
        path=step.call.path,
        type=step.call.type,
        result=result,
        field=step.field,
        batched=len(result.input_shape) > dims + 1,
        activation_bytes=numel * width or None,
        params=node.own_params if step.call.kind == "module" else None,
    )

"""A forward that stopped at a layer: what its formula says, and which input would have fitted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from math import prod

from modelcli.feature_maps.layers.simple import Linear
from modelcli.feature_maps.of_call import layer_of
from modelcli.feature_maps.record import Shape
from modelcli.feature_maps.refusal import ShapeError
from modelcli.tracing.record import Call, Trace
from modelcli.tracing.unbatched import lacks_batch

LARGEST_INPUT = 4096


def explain_refusal(trace: Trace) -> tuple[str, str] | None:
    """Return the formula's own message and hint on the call that failed, None where it has none."""
    call = trace.failure.call if trace.failure is not None else None
    layer = layer_of(call, dense=True) if call is not None else None
    if call is None or layer is None:
        return None
    try:
        layer.apply(call.input_shapes[0])
    except ShapeError as error:
        return error.message, what_fits(trace) or error.hint
    return None


def what_fits(trace: Trace) -> str | None:
    """Return what a dense layer takes, what it got, and the input that would give it.

    Returns:
        None where no dense layer refused a flattened map.
    """
    if trace.failure is None or lacks_batch(trace, trace.failure.message.lower()):
        return None  # a missing batch is another mistake than a wrong size
    failed = trace.failure.call
    layer = layer_of(failed, dense=True) if failed is not None else None
    if failed is None or not isinstance(layer, Linear) or not layer.in_features:
        return None
    takes, got = layer.in_features, failed.input_shapes[0]
    if not got:
        return None  # a number alone, of no map
    flat = _flattened(trace.calls, failed)
    if takes == got[-1] or flat is None or flat.input_shapes[0][1:] == ():
        return None
    source = flat.input_shapes[0]
    channels, places = source[1], source[2:]
    name = failed.path or failed.type
    had = f"got {got[-1]} = {_product(source[1:])}"
    side = _side(takes, channels, len(places))
    if side is None:
        return f"{name} takes {takes} features and {had}"
    wanted = _product((channels, *(side,) * len(places)))
    said = f"{name} takes {takes} = {wanted} features and {had}"
    size = _fitting_input(trace, flat, side)
    if size is None:
        return said
    return f"{said}; an input of {' x '.join([str(size)] * len(places))} gives {takes}"


def _product(sizes: Sequence[int]) -> str:
    return "*".join(map(str, sizes))


def _side(features: int, channels: int, dims: int) -> int | None:
    """Return the side of the square map whose cells and channels make so many features."""
    cells, rest = divmod(features, channels)
    side = round(cells ** (1 / dims)) if dims else 0
    return side if not rest and side and side**dims == cells else None


def _flattened(calls: Sequence[Call], failed: Call) -> Call | None:
    """Return the call that laid a map out as the features that were refused."""
    source = failed.sources[0] if failed.sources else None
    while source is not None and 0 <= source < len(calls):
        call = calls[source]
        if not call.input_shapes or not call.output_shapes:
            return None
        before, after = call.input_shapes[0], call.output_shapes[0]
        if len(before) > len(after) and len(before) >= 3 and prod(before) == prod(after):
            return call if len(after) == 2 and before[0] == after[0] else None
        if before != after:
            return None
        source = call.sources[0] if call.sources else None
    return None


def _fitting_input(trace: Trace, flat: Call, side: int) -> int | None:
    """Return the smallest square input whose map has that side where it is flattened."""
    source = flat.sources[0]
    shapes = [record.shape for record in trace.inputs]
    if source is None or [len(shape) for shape in shapes] != [len(flat.input_shapes[0])]:
        return None

    def reached(size: int) -> int:
        return _side_after(trace.calls, source, shapes[0], size)

    # a larger input never gives a smaller map
    size = bisect_left(range(LARGEST_INPUT), side, lo=1, key=reached)
    return size if reached(size) == side else None


def _side_after(calls: Sequence[Call], source: int, shape: Shape, size: int) -> int:
    """Return the side of the map behind a call if the input were a square of ``size``, or 0."""
    first = (*shape[:2], *(size,) * (len(shape) - 2))
    known: dict[int | None, Shape] = {-1: first}
    for index, call in enumerate(calls[: source + 1]):
        before = known.get(call.sources[0]) if call.sources else None
        output = None if before is None else _after(call, before)
        if output is not None:
            known[index] = output
    reached = known.get(source, ())
    return reached[-1] if len(set(reached[2:])) == 1 else 0


def _after(call: Call, shape: Shape) -> Shape | None:
    layer = layer_of(replace(call, input_shapes=(shape,)))
    if layer is not None:
        try:
            return layer.apply(shape).output_shape
        except ShapeError:
            return None
    same = bool(call.output_shapes) and call.output_shapes[0] == call.input_shapes[0]
    return shape if same else None

"""A stack of layers applied one after the other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial

from modelcli.feature_maps.field import after_layer, input_field
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.record import Shape
from modelcli.feature_maps.refusal import ShapeError, show_dims
from modelcli.feature_maps.row import MapRow

MakeLayer = Callable[[Shape], Layer]  # some layers, as a depthwise one, depend on what comes
MOST_DOUBLINGS = 14  # how far a smallest input is looked for: to 16384


def run_chain(
    makers: Sequence[MakeLayer], shape: Shape, *, dims: int, batched: bool = False
) -> tuple[MapRow, ...]:
    """Return what every layer of a typed stack makes of an input, a row each.

    Args:
        makers: functions from the shape that reaches a layer to that layer.
        shape: the input, batch included where it is ``batched``; its last ``dims`` axes are places.

    Raises:
        ShapeError: a layer refuses what reaches it; the hint adds the smallest input of the stack.
    """
    field = input_field(shape, dims)
    rows: list[MapRow] = []
    now = shape
    for number, make in enumerate(makers):
        try:
            layer = make(now)
            result = layer.apply(now)
        except ShapeError as error:
            raise _with_stack(error, makers[: number + 1], shape, dims) from None
        field = after_layer(field, result)
        row = MapRow(path=layer.name, type=result.type, result=result, field=field, batched=batched)
        rows.append(row)
        now = result.output_shape
    return tuple(rows)


def final_shape(makers: Sequence[MakeLayer], shape: Shape) -> Shape:
    """Return only the shape that a stack ends with.

    Raises:
        ShapeError: a layer refuses what reaches it.
    """
    for make in makers:
        shape = make(shape).apply(shape).output_shape
    return shape


def _with_stack(
    error: ShapeError, makers: Sequence[MakeLayer], shape: Shape, dims: int
) -> ShapeError:
    message, hint = error.message, error.hint
    if not message.startswith("word "):
        message = f"word {len(makers)}, {message}"
    if len(makers) > 1 and "smallest input" in hint:
        smallest = smallest_input(makers, shape, dims=dims)
        if smallest is not None:
            hint = f"{hint} there, and {show_dims(smallest)} for the whole stack"
    return ShapeError(message, hint)


def smallest_input(makers: Sequence[MakeLayer], shape: Shape, *, dims: int) -> Shape | None:
    """Return the smallest input that every layer takes, each axis no smaller than it is now.

    Axes are grown together, since a message about one hides those of the others.
    """
    first = len(shape) - dims
    sides = (1 << power for power in range(MOST_DOUBLINGS + 1))
    grown = ((*shape[:first], *(max(size, side) for size in shape[first:])) for side in sides)
    now = next((trial for trial in grown if _works(makers, trial)), None)
    if now is None:
        return None
    for axis in range(first, len(shape)):  # bring each axis down again
        front, back = now[:axis], now[axis + 1 :]
        trials = [(*front, size, *back) for size in range(shape[axis], now[axis])]
        found = bisect_left(trials, True, key=partial(_works, makers))
        now = (*front, shape[axis] + found, *back)
    return now


def _works(makers: Sequence[MakeLayer], shape: Shape) -> bool:
    try:
        final_shape(makers, shape)
    except ShapeError:
        return False
    return True

"""From words of the little language to layers, and what a stack of them makes of an input."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from modelcli.feature_maps.factory import Options, Site, make_layer
from modelcli.feature_maps.field import after_layer, input_field
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.layers.resize import MODES
from modelcli.feature_maps.record import Shape
from modelcli.feature_maps.refusal import ShapeError, show_dims
from modelcli.feature_maps.row import MapRow
from modelcli.feature_maps.words import Word

MakeLayer = Callable[[Shape], Layer]  # some layers, as a depthwise one, depend on what comes
MOST_DOUBLINGS = 14  # how far a smallest input is looked for: to 16384
# what torch calls an option that the language writes shorter
_TORCH = {
    "kernel": "kernel_size", "channels": "out_channels", "ceil": "ceil_mode",
    "corners": "align_corners", "scale": "scale_factor", "ratio": "output_ratio",
    "factor": "upscale_factor",
}  # fmt: skip
_ONE_NUMBER = ("channels", "groups", "factor")


def makers(words: tuple[Word, ...], *, dims: int, batched: bool) -> tuple[MakeLayer, ...]:
    """Return one function per word, from the shape that reaches it to its layer.

    Args:
        words: the stack.
        dims: how many axes are places, unless a word itself says it.
        batched: whether the first axis is the batch.

    Raises:
        ShapeError: an option is missing, or has more numbers than it can take.
    """
    return tuple(_maker(word, dims, batched) for word in words)


def _maker(word: Word, dims: int, batched: bool) -> MakeLayer:
    spec = word.spec
    for option in spec.needs:
        if option not in word.options:
            raise word.refusal(
                f"it lacks its {option.replace('_', ' ')}", f"write it as in {spec.example}"
            )
    dims = word.dims or max(dims, 1)

    def make(shape: Shape) -> Layer:
        shown = f"{spec.type}{dims}d" if spec.type.endswith(_PER_AXES) else spec.type
        site = Site(shape=shape, dims=dims, name=word.text, shown=shown)
        layer = make_layer(spec.kind, _options(word, dims, batched), site)
        assert layer is not None  # every word has its factory and what it needs
        return layer

    return make


_PER_AXES = ("BatchNorm", "InstanceNorm")


def _options(word: Word, dims: int, batched: bool) -> Options:
    """Return what a word says under torch's names."""
    kind = word.spec.kind
    if kind == "pointwise":
        return {}  # such a word may carry any number
    options = {_TORCH.get(name, name): _value(word, name, dims) for name in word.options}
    if kind == "pad":
        options["pad"] = _pads(word, dims)
        options.setdefault("mode", "zeros")
    elif kind == "upsample":
        options["size"] = options.pop("output_size", None)
        options["needs_batch"] = batched
    elif kind == "flatten":
        options["start_dim"] = 1 if batched else 0
    elif kind == "linear":
        options["out_features"] = options["out_channels"]
        if options["out_features"] < 1:
            raise word.refusal("it has no features", f"give 1 or more: {word.spec.example}")
    elif word.spec.name == "gap":
        options["output_size"] = 1
    return options


def _value(word: Word, name: str, dims: int) -> Any:
    """Return the value of an option as torch's layers take it."""
    value = word.options[name]
    if name in ("ceil", "corners"):
        return bool(value)
    if name == "mode":
        if word.spec.kind == "upsample" and value not in MODES:
            raise word.refusal(f"mode '{value}' is unknown", f"the modes are {', '.join(MODES)}")
        return value
    if isinstance(value, str):
        if word.spec.kind in ("conv", "depthwise"):
            return value  # same, valid
        raise word.refusal(f"the {name} is '{value}'", f"give a number: {word.spec.example}")
    if name in _ONE_NUMBER:
        if len(value) != 1:
            said = f"the {name} has {len(value)} numbers"
            raise word.refusal(said, f"give one: {word.spec.example}")
        return value[0]
    return value * dims if name in ("scale", "ratio") and len(value) == 1 else value


def _pads(word: Word, dims: int) -> tuple[int, ...]:
    """Return the numbers of a pad as ``F.pad`` takes them: last axis first, before and after."""
    numbers = _value(word, "padding", dims)
    if len(numbers) == 1:
        return tuple(numbers * 2 * dims)
    if len(numbers) == dims:  # one per axis, outermost first, as everywhere else
        return tuple(number for number in reversed(numbers) for _ in range(2))
    if len(numbers) != 2 * dims:
        raise word.refusal(
            f"{len(numbers)} numbers for {dims} axes", f"give 1, {dims} or {2 * dims} numbers"
        )
    return tuple(numbers)


def axes_of(words: Sequence[Word], shape: Shape) -> tuple[int, bool]:
    """Return how many axes of an input are places, and whether a batch comes first.

    Three numbers are an image, four a batch of images; where a word says ``3d``, four are a
    volume and five a batch of volumes.
    """
    said = next((word.dims for word in words if word.dims is not None), None)
    if said is not None:
        return min(said, max(len(shape) - 1, 0)), len(shape) == said + 2
    return (min(len(shape) - 2, 3), True) if len(shape) >= 4 else (len(shape) - 1, False)


def rows_of(words: Sequence[Word], shape: Shape) -> tuple[MapRow, ...]:
    """Return what every layer of a typed stack makes of an input, a row each.

    Raises:
        ShapeError: a layer cannot take what reaches it, or a word lacks an option.
    """
    dims, batched = axes_of(words, shape)
    layers = makers(tuple(words), dims=dims, batched=batched)
    return run_chain(layers, shape, dims=dims, batched=batched)


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

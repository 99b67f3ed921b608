"""The working of every layer in words, one step a line, like a worked example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from modelcli.feature_maps.record import AxisResult, Ranges, count_unseen
from modelcli.feature_maps.row import MapRow, channels_of
from modelcli.views.shapes import show_share
from modelcli.views.text import show_dims


def explain(rows: Sequence[MapRow]) -> str:
    """Return the working of all rows as text."""
    return "\n\n".join("\n".join(explain_row(row)) for row in rows)


def explain_row(row: MapRow) -> Iterator[str]:
    """Yield the working of one row as lines."""
    result = row.result
    yield f"{row.path}: {row.type}{_options(result.axes)}"
    yield f"  {show_dims(result.input_shape)} goes in"
    for axes in _group(result.axes):
        names = " and ".join(axis.axis.name for axis in axes)
        axis = axes[0]
        yield ""
        yield f"  {names}: {axis.size_in} in, {axis.size_out} out"
        yield from _numbered(axis.steps)
        if axis.rule and axis.rule != "as asked":
            yield f"     in one line: out = {axis.rule}"
            yield f"     {' ' * 16} = {axis.formula}"
        if axis.unseen:
            yield f"     {_lost(axis)}"
    yield ""
    if result.formula:
        yield f"  {result.formula}"
    if result.channels is not None:
        words, value = result.channels
        yield f"  channels: {words}: {value}"
    elif result.axes and channels_of(row, 1) is not None:
        yield f"  channels: unchanged, {channels_of(row, 1)}"
    yield from _parameters(row)
    yield f"  {show_dims(result.output_shape)} comes out"
    sight = _sight(row)
    if sight:
        yield f"  {sight}"


def _parameters(row: MapRow) -> Iterator[str]:
    """Write how many parameters a layer has: C_in * C_out * k * k, and C_out where it has biases.

    A layer that was only typed has a bias, as in torch unless ``bias=False``.
    """
    if row.result.weights is None:
        return
    sizes, biases = row.result.weights
    count = prod(sizes)
    product = " * ".join(map(str, sizes))
    if row.params in (None, count + biases):
        yield f"  parameters: {product} + {biases} = {count + biases}"
    elif row.params == count:
        yield f"  parameters: {product} = {count}, without a bias"
    elif row.params == 0:  # shared with a layer above, or made by another part of the model
        yield f"  parameters: {product} = {count}, held elsewhere"


def _group(axes: Sequence[AxisResult]) -> list[list[AxisResult]]:
    """Put axes with the same numbers together, so that a square layer is worked once."""
    groups: dict[tuple[object, ...], list[AxisResult]] = {}
    for axis in axes:
        key = axis.size_in, axis.kernel, axis.stride, axis.padding, axis.dilation, axis.formula
        groups.setdefault(key, []).append(axis)
    return list(groups.values())


def _numbered(steps: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = min(max((len(words) for words, _ in steps), default=0), 62)
    for number, (words, value) in enumerate(steps, start=1):
        yield f"  {number}. {words + ':':<{width + 1}}  {value}"


def _options(axes: Sequence[AxisResult]) -> str:
    parts = []
    for name in ("kernel", "stride", "padding", "dilation"):
        values = [getattr(axis, name) for axis in axes]
        if not values or None in values or (name == "dilation" and set(values) == {1}):
            continue
        if name == "padding":
            values = [a if a == b else f"{a}+{b}" for a, b in values]
        shown = str(values[0]) if len(set(values)) == 1 else " x ".join(map(str, values))
        parts.append(f"{name} {shown}")
    return f", {', '.join(parts)}" if parts else ""


def _lost(axis: AxisResult) -> str:
    single = count_unseen(axis.unseen) == 1
    noun = axis.axis.one if single else axis.axis.many
    verb = "is" if single else "are"
    return f"{noun} {show_ranges(axis.unseen)} of the input {verb} under no window"


def show_ranges(ranges: Ranges) -> str:
    """Write ranges: ``27``, ``3-5, 9``; long lists are cut."""
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in ranges]
    if len(texts) > 6:
        return f"{', '.join(texts[:4])}, ... {texts[-1]}"
    return ", ".join(texts)


def _sight(row: MapRow) -> str:
    """Write what one output cell sees of the model's input."""
    field, sizes = row.receptive_field, row.field.sizes
    if not sizes or all(extent is None for extent in field):
        return ""
    seen = " x ".join("-" if extent is None else str(extent) for extent in field)
    whole = " x ".join(str(size) for size in sizes)
    line = f"one cell in the middle sees {seen} of the input's {whole}"
    if row.share is not None:
        line += f", which is {show_share(row.share)}"
    jumps = [jump for jump in row.jump if jump is not None]
    if len(jumps) == len(sizes) and jumps:
        apart = " x ".join(str(jump) for jump in dict.fromkeys(jumps))
        line += f"; its neighbour is {apart} further"
    return line

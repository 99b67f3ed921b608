"""The pyramid of feature maps: its levels, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt

from modelcli.feature_maps.record import Shape
from modelcli.feature_maps.row import MapRow, channels_of
from modelcli.views.text import plural, show_axes, show_count, show_dims

_SHADES = "░▒▓█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Neighbouring layers whose maps have the same size.

    Attributes:
        sizes: the spatial sizes; empty for a vector.
        channels: the channel counts that occur, in order.
        first: the first layer of the level, ``input`` for the input itself.
        layers: how many rows the level holds; 0 for the input.
        field: the receptive field at the end of the level, as text.
    """

    sizes: Shape
    channels: tuple[int, ...]
    first: str
    last: str
    layers: int
    field: str = ""

    @property
    def size_text(self) -> str:
        """The size as people write it: ``56x56``."""
        return show_dims(self.sizes) if self.sizes else "vector"

    @property
    def channel_text(self) -> str:
        """The channel counts: ``64``, ``64-256``."""
        low, high = min(self.channels), max(self.channels)
        return show_count(high) if low == high else f"{show_count(low)}-{show_count(high)}"

    @property
    def noun(self) -> str:
        """The noun for the channel counts."""
        return "channel" if self.channels == (1,) else "channels"

    @property
    def layer_text(self) -> str:
        """The layers: ``conv1``, ``layer1.0.conv1 ... layer1.2.conv3 (10 layers)``."""
        if self.layers <= 1:
            return self.first
        return f"{self.first} ... {self.last} ({plural(self.layers, 'layer')})"


def levels(rows: Sequence[MapRow]) -> tuple[Level, ...]:
    """Return the levels of a stack of maps, the input first.

    Gates (a map squeezed to one cell and multiplied back onto itself) are no levels.
    """
    if not rows:
        return ()
    first = rows[0]
    sizes = _sizes(first, first.result.input_shape)
    found = [
        Level(sizes=sizes, channels=(channels_of(first, 0) or 1,), first="input", last="input",
              layers=0)
    ]  # fmt: skip
    for row in _without_gates(rows):
        sizes = _sizes(row, row.result.output_shape)
        channels = channels_of(row, 1) or 1
        before = found[-1]
        grows = before.layers > 0 and before.sizes == sizes and bool(sizes)
        known = found.pop().channels if grows else ()
        found.append(
            Level(
                sizes=sizes,
                channels=known if channels in known else (*known, channels),
                first=before.first if grows else row.path,
                last=row.path,
                layers=before.layers + 1 if grows else 1,
                field=show_axes(row.receptive_field),
            )
        )
    return tuple(found)


def _without_gates(rows: Sequence[MapRow]) -> list[MapRow]:
    kept: list[MapRow] = []
    gated = False  # whether the next larger map has been multiplied by a single cell
    for row in reversed(rows):
        sizes = _sizes(row, row.result.output_shape)
        single = bool(sizes) and all(size == 1 for size in sizes)
        if single and gated:
            continue
        gated = bool(row.field.fixed) and bool(sizes) and not single
        kept.append(row)
    return kept[::-1]


def _sizes(row: MapRow, shape: Shape) -> Shape:
    dims = len(row.field.sizes)
    start = 2 if row.batched else 1
    sizes = shape[start:]
    return sizes if len(sizes) == dims or row.result.axes else ()


def draw_pyramid(found: Sequence[Level], *, width: int) -> str:
    """Return the pyramid as text of ``width`` columns: as wide as the maps, shaded by channels."""
    if not found:
        return "no layer changes a feature map"
    head = [level.size_text for level in found]
    tail = [f"{level.channel_text} ch" if level.sizes else level.channel_text for level in found]
    left = max(map(len, head))
    right = max(map(len, tail))
    room = max(min(width - left - right - 4, 64), 8)
    largest = max((side_of(level) for level in found), default=1)
    most = most_channels(found)
    lines = []
    for level, size, channels in zip(found, head, tail, strict=True):
        length = max(1, round(room * side_of(level) / largest)) if level.sizes else 1
        bar = (_shade(max(level.channels), most) if level.sizes else "┃") * length
        lines.append(f"{size:>{left}}  {bar:^{room}}  {channels:>{right}}".rstrip())
        caption = level.layer_text + (f", sees {level.field}" if level.field else "")
        lines.append(" " * (left + 2) + _fit(caption, width - left - 2))
    legend = _fit("width: side of a map; shade: channels; sees: cells of the input", width)
    return "\n".join([*lines, "", legend])


def _fit(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(room - 3, 0)]}..."


def side_of(level: Level) -> float:
    """Return the side of a square as large as the map; a vector is a line."""
    return prod(level.sizes) ** (1 / len(level.sizes)) if level.sizes else 1.0


def most_channels(found: Sequence[Level]) -> int:
    """Return the largest channel count of the levels that are maps."""
    return max((max(level.channels) for level in found if level.sizes), default=1)


def _shade(channels: int, most: int) -> str:
    if most <= 1:
        return _SHADES[0]
    place = sqrt(channels / most) * (len(_SHADES) - 1)
    return _SHADES[min(round(place), len(_SHADES) - 1)]

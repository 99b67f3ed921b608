"""The pyramid of feature maps: its levels, as text for a terminal and as a picture for a slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt
from xml.sax.saxutils import escape

from modelcli.feature_maps.record import Shape
from modelcli.feature_maps.row import MapRow, channels_of
from modelcli.views.shapes import show_axes
from modelcli.views.text import plural, show_count, show_dims

_SHADES = "░▒▓█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Neighbouring layers whose maps have the same size.

    Attributes:
        sizes: the spatial sizes; empty for a vector.
        channels: the channel counts that occur, in order.
        first: the first layer of the level, ``input`` for the input itself.
        last: the last layer.
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
        if before.layers and before.sizes == sizes and sizes:
            first_path, count, known = before.first, before.layers, before.channels
            found.pop()
        else:
            first_path, count, known = row.path, 0, ()
        found.append(
            Level(
                sizes=sizes,
                channels=known if channels in known else (*known, channels),
                first=first_path,
                last=row.path,
                layers=count + 1,
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
    """Return the pyramid as lines of text, each level as wide as its maps, shaded by channels.

    Args:
        found: the levels.
        width: columns that may be used.
    """
    if not found:
        return "no layer changes a feature map"
    head = [level.size_text for level in found]
    tail = [f"{level.channel_text} ch" if level.sizes else level.channel_text for level in found]
    left = max(map(len, head))
    right = max(map(len, tail))
    room = max(min(width - left - right - 4, 64), 8)
    largest = max((_side(level) for level in found), default=1)
    most = _most_channels(found)
    lines = []
    for level, size, channels in zip(found, head, tail, strict=True):
        length = max(1, round(room * _side(level) / largest)) if level.sizes else 1
        bar = (_shade(max(level.channels), most) if level.sizes else "┃") * length
        lines.append(f"{size:>{left}}  {bar:^{room}}  {channels:>{right}}".rstrip())
        lines.append(" " * (left + 2) + _fit(_caption(level), width - left - 2))
    lines.append("")
    lines.append(_fit("width: side of a map; shade: channels; sees: cells of the input", width))
    return "\n".join(lines)


def _caption(level: Level) -> str:
    return f"{level.layer_text}{f', sees {level.field}' if level.field else ''}"


def _fit(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(room - 3, 0)]}..."


def _side(level: Level) -> float:
    """Return the side of a square as large as the map; a vector is a line."""
    return prod(level.sizes) ** (1 / len(level.sizes)) if level.sizes else 1.0


def _most_channels(found: Sequence[Level]) -> int:
    return max((max(level.channels) for level in found if level.sizes), default=1)


def _shade(channels: int, most: int) -> str:
    if most <= 1:
        return _SHADES[0]
    place = sqrt(channels / most) * (len(_SHADES) - 1)
    return _SHADES[min(round(place), len(_SHADES) - 1)]


# A slide of 16:9. Sides are drawn by their square root: 224 and 7 must both be seen.
_WIDTH, _HEIGHT, _MARGIN = 1280, 720, 60
_FLOOR, _TALLEST = 485, 290
_FACE, _SIDE, _TOP, _EDGE, _INK = "#7fb3d5", "#4a86ad", "#aed2e8", "#1f4e6b", "#1b2a33"


def svg_pyramid(found: Sequence[Level], *, title: str) -> str:
    """Return the pyramid as an SVG picture: one box per level, its depth for the channels."""
    boxes = _layout(found)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="70" font-size="34" font-weight="bold" fill="{_INK}">'
        f"{escape(title)}</text>",
    ]
    for number, box in enumerate(boxes):
        parts.extend(_draw_box(box, lower=number % 2 == 1 and len(boxes) > 8))
    parts.append(
        f'<text x="{_MARGIN}" y="{_HEIGHT - 30}" font-size="13" fill="#5b6b75">height: side of a '
        "map; depth: channels (both by their square root); sees: cells of the input that one cell "
        "depends on</text>"
    )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    level: Level
    x: float
    side: float
    depth: float
    centre: float


def _layout(found: Sequence[Level]) -> list[_Box]:
    largest = max((_side(level) for level in found), default=1.0)
    most = _most_channels(found)
    sides = [_TALLEST * sqrt(_side(level) / largest) if level.sizes else 200.0 for level in found]
    widths = [14 + 66 * sqrt(max(level.channels) / most) if level.sizes else 8.0 for level in found]
    slant = [side * 0.34 if level.sizes else 4.0 for side, level in zip(sides, found, strict=True)]
    room = _WIDTH - 2 * _MARGIN
    needed = sum(widths) + sum(slant)
    gaps = max(len(found) - 1, 1)
    least_gap = 18.0
    scale = min(1.0, (room - least_gap * gaps) / needed) if needed else 1.0
    gap = min((room - scale * needed) / gaps, 110.0)
    x = _MARGIN + (room - scale * needed - gap * (len(found) - 1)) / 2
    boxes = []
    for level, side, width, lean in zip(found, sides, widths, slant, strict=True):
        wide = scale * (width + lean)
        boxes.append(
            _Box(level=level, x=x, side=side * (0.4 + 0.6 * scale), depth=scale * width,
                 centre=x + wide / 2)
        )  # fmt: skip
        x += wide + gap
    return boxes


def _draw_box(box: _Box, *, lower: bool) -> list[str]:
    """Draw a box seen from the front right: its face is the map, its depth the channels."""
    lean = box.side * 0.24
    rise = box.side * 0.22
    left, right = box.x, box.x + box.depth
    middle = _FLOOR - _TALLEST / 2
    top, bottom = middle - box.side / 2 + rise / 2, middle + box.side / 2 + rise / 2
    if not box.level.sizes:
        lean = rise = 0.0
    face = [(right, top), (right + lean, top - rise), (right + lean, bottom - rise),
            (right, bottom)]  # fmt: skip
    roof = [(left, top), (left + lean, top - rise), (right + lean, top - rise), (right, top)]
    side = [(left, top), (right, top), (right, bottom), (left, bottom)]
    shapes = [_polygon(side, _SIDE), _polygon(roof, _TOP), _polygon(face, _FACE)]
    return shapes + _labels(box, lower=lower)


def _labels(box: _Box, *, lower: bool) -> list[str]:
    level = box.level
    y = _FLOOR + 70 + (58 if lower else 0)
    size = show_dims(level.sizes).replace("x", " × ") if level.sizes else "vector"
    lines = [
        (size, 17, "bold", _INK),
        (f"{level.channel_text} {level.noun}" if level.sizes else level.channel_text, 14, "normal",
         _INK),
        (f"sees {level.field}" if level.field else level.first, 13, "normal", "#5b6b75"),
    ]  # fmt: skip
    return [
        f'<text x="{box.centre:.1f}" y="{y + 19 * number}" font-size="{font}" '
        f'font-weight="{weight}" fill="{ink}" text-anchor="middle">{escape(text)}</text>'
        for number, (text, font, weight, ink) in enumerate(lines)
    ]


def _polygon(points: Sequence[tuple[float, float]], fill: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polygon points="{path}" fill="{fill}" stroke="{_EDGE}" stroke-width="1.2" '
        'stroke-linejoin="round"/>'
    )

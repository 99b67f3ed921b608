"""Feature maps as a picture: a box for every size, arrows between them, names and sizes below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from modelcli.views.pictures.look import Canvas, Drawing, Theme, attribute, words
from modelcli.views.pictures.measure import Face, cut, text_width
from modelcli.views.pyramid import Level, most_channels, side_of
from modelcli.views.text import plural

_EDGE, _GAP, _ARROW = 36, 30, 26
_TOP, _TALLEST, _THICKEST, _BAR = 84, 210, 74, 160
_LEAST_COLUMN, _MOST_COLUMN = 74, 150
_LINES = 5
_BELOW = 28  # from the boxes' foot to the first line of text


def svg_maps(
    found: Sequence[Level], *, title: str, subtitle: str = "", theme: Theme = "auto"
) -> Drawing:
    """Draw the levels of a model's feature maps from left to right.

    Args:
        found: the levels.
        title: usually the target.
        subtitle: a line below it.
        theme: one look, or both.
    """
    boxes = _place(found)
    floor = _TOP + max((box.height + box.rise for box in boxes), default=0)
    foot = floor + _BELOW + 18 * _LINES
    legend = text_width(_LEGEND, 12) + 2 * _EDGE + 90
    end = boxes[-1].column_end + _EDGE if boxes else 0
    width = max(end, text_width(title, 17, "bold") + 2 * _EDGE, legend if boxes else 420)
    shift = (width - (end - _EDGE) - _EDGE) / 2 if boxes else 0
    parts = [
        words(cut(title, width - 2 * _EDGE, 17, "bold"), _EDGE, 36, "title", whole=title),
        words(cut(subtitle, width - 2 * _EDGE, 12), _EDGE, 55, "subtitle", whole=subtitle),
        f'<g transform="translate({shift:.1f} 0)">',
    ]
    for number, box in enumerate(boxes):
        parts += _draw_box(box, floor)
        parts += _draw_words(box, floor + _BELOW)
        if number:
            parts += _draw_arrow(boxes[number - 1], box, floor)
    parts.append("</g>")
    if boxes:
        parts += _draw_legend(foot + 26)
    else:
        parts.append(words("no layer changes a feature map", _EDGE, _TOP, "label"))
    height = foot + 52 if boxes else 130
    spoken = ", then ".join(f"{box.size} with {box.channels}" for box in boxes)
    canvas = Canvas(width=width, height=height, title=f"{title}: {spoken}", theme=theme)
    return canvas.draw(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """A level with its place: a box of ``thick`` x ``height``, seen from the front right."""

    level: Level
    middle: float
    column: float
    thick: float
    height: float
    lean: float
    rise: float

    @property
    def left(self) -> float:
        return self.middle - (self.thick + self.lean) / 2

    @property
    def right(self) -> float:
        return self.left + self.thick + self.lean

    @property
    def column_end(self) -> float:
        return self.middle + self.column / 2

    @property
    def size(self) -> str:
        return _size_of(self.level)

    @property
    def channels(self) -> str:
        return _channels_of(self.level)


def _size_of(level: Level) -> str:
    return _times(level.size_text)


def _channels_of(level: Level) -> str:
    return f"{level.channel_text} {level.noun if level.sizes else 'elements'}"


def _times(text: str) -> str:
    return text.replace("x", " × ")


def _place(found: Sequence[Level]) -> list[_Box]:
    """Return the boxes; sides are drawn by their square roots, so that 224 and 7 are both seen."""
    largest = max((side_of(level) for level in found), default=1.0)
    most = most_channels(found)
    boxes: list[_Box] = []
    at = float(_EDGE)
    for level in found:
        flat = not level.sizes
        height = _BAR if flat else max(6.0, _TALLEST * sqrt(side_of(level) / largest))
        thick = 9.0 if flat else max(5.0, _THICKEST * sqrt(max(level.channels) / most))
        lean = 0.0 if len(level.sizes) < 2 else height * 0.26
        rise = 0.0 if len(level.sizes) < 2 else height * 0.22
        texts = max(text_width(line, size, face) for line, size, face, _ in _lines(level))
        column = max(min(max(texts, _LEAST_COLUMN), _MOST_COLUMN), thick + lean)
        boxes.append(
            _Box(level=level, middle=at + column / 2, column=column, thick=thick, height=height,
                 lean=lean, rise=rise)
        )  # fmt: skip
        at += column + _GAP
    return boxes


def _lines(level: Level) -> list[tuple[str, float, Face, str]]:
    """Return what stands below a box: text, size, face and classes of each line."""
    lines: list[tuple[str, float, Face, str]] = [
        (_size_of(level), 13.0, "bold", "strong"),
        (_channels_of(level), 11.5, "plain", "label"),
        (level.first, 11.0, "mono", "mono"),
    ]
    if level.layers > 1:
        lines.append((f"… {level.last}", 11.0, "mono", "mono"))
    told = [plural(level.layers, "layer")] if level.layers > 1 else []
    if level.field:
        told.append(f"sees {_times(level.field)}")
    if told:
        lines.append((", ".join(told), 11.5, "plain", "label mute"))
    return lines


def _draw_words(box: _Box, y: float) -> Iterator[str]:
    for number, (text, size, face, classes) in enumerate(_lines(box.level)):
        shown = cut(text, box.column, size, face)
        yield words(shown, box.middle, y + 18 * number, classes, anchor="middle", whole=text)


def _draw_box(box: _Box, floor: float) -> Iterator[str]:
    x, bottom = box.left, _bottom(box, floor)
    top = bottom - box.height
    level = box.level
    tip = f"{level.layer_text}: {box.size}, {box.channels}"
    yield f"<g><title>{attribute(tip)}</title>"
    if box.rise:
        right, up = x + box.thick, box.rise
        end = right + box.lean
        flank = [(right, top), (end, top - up), (end, bottom - up), (right, bottom)]
        lid = [(x, top), (x + box.lean, top - up), (end, top - up), (right, top)]
        yield _polygon(flank, "front rim")
        yield _polygon(lid, "top rim")
    face = [(x, top), (x + box.thick, top), (x + box.thick, bottom), (x, bottom)]
    yield _polygon(face, "side rim")
    yield "</g>"


def _bottom(box: _Box, floor: float) -> float:
    """Return where a box ends: all stand in the middle of the tallest."""
    return (_TOP + floor + box.height + box.rise) / 2


def _draw_arrow(before: _Box, after: _Box, floor: float) -> Iterator[str]:
    y = (_TOP + floor) / 2
    start, end = before.right + 6, after.left - 7
    if end - start < 8:  # the boxes' columns touch: the arrow is at least as long as its head
        start = end - 8
    yield f'<path d="M{start:.1f} {y:.1f}H{end - 5:.1f}" class="arrow"/>'
    yield f'<path d="M{end - 7:.1f} {y - 4:.1f}l7.5 4-7.5 4z" class="head"/>'


_LEGEND = (
    "height and depth: height and width of a map; thickness: its channels (all by their square "
    "roots); sees: cells of the input that one cell depends on"
)


def _draw_legend(y: float) -> Iterator[str]:
    x = float(_EDGE)
    yield _polygon([(x + 12, y - 10), (x + 19, y - 16), (x + 19, y), (x + 12, y + 6)], "front rim")
    yield _polygon([(x, y - 10), (x + 7, y - 16), (x + 19, y - 16), (x + 12, y - 10)], "top rim")
    yield _polygon([(x, y - 10), (x + 12, y - 10), (x + 12, y + 6), (x, y + 6)], "side rim")
    yield words(_LEGEND, x + 32, y + 1, "subtitle")


def _polygon(points: Sequence[tuple[float, float]], classes: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{path}" class="{classes}"/>'

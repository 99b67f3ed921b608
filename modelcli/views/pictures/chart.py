"""Curves of runs as a picture: training solid, held-out dashed, the legend beside the curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelcli.views.curves import Axes, Points, finite_points
from modelcli.views.pictures.look import SERIES, Canvas, Drawing, Theme, attribute, words
from modelcli.views.pictures.measure import cut, text_width

_PLOT_WIDTH, _PLOT_HEIGHT = 640, 330
_TOP, _BOTTOM, _EDGE = 64, 46, 24
_LEGEND_ROOM, _ROW, _SAMPLE = 280, 21, 26
_MOST_POINTS = 2 * _PLOT_WIDTH  # more than a pixel can show is thinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve of a chart.

    Attributes:
        name: in the legend.
        points: (step, value).
        colour: number of its colour; those of one run share it.
        held_out: drawn dashed.
        whole: the name in full, where ``name`` is short for it.
    """

    name: str
    points: Points
    colour: int = 0
    held_out: bool = False
    whole: str = ""


def chart(
    lines: Sequence[Line], *, title: str, subtitle: str = "", theme: Theme = "auto"
) -> Drawing:
    """Draw curves; the value axis is logarithmic where values span 100 to 1."""
    points = [point for line in lines for point in finite_points(line.points)]
    axes = Axes.of(points or [(0.0, 0.0)])
    plot = _Plot.of(axes)
    has_legend = len(lines) > 1
    legend = _Legend(lines)
    beside = _TOP + legend.height + _EDGE if has_legend else 0
    height = max(_TOP + _PLOT_HEIGHT + _BOTTOM, beside)
    width = plot.left + _PLOT_WIDTH + (28 + legend.width if has_legend else _EDGE)
    parts = [
        words(cut(title, width - 2 * _EDGE, 17, "bold"), _EDGE, 30, "title", whole=title),
        words(cut(subtitle, width - 2 * _EDGE, 12), _EDGE, 48, "subtitle", whole=subtitle),
        *plot.grid(),
        *(part for line in lines for part in plot.curve(line)),
    ]
    if has_legend:
        parts += legend.draw(plot.left + _PLOT_WIDTH + 28, _TOP + 4)
    canvas = Canvas(width=width, height=height, title=_spoken(title, lines), theme=theme)
    return canvas.draw(parts)


def _spoken(title: str, lines: Sequence[Line]) -> str:
    told = [
        f"{line.name} from {line.points[0][1]:.4g} to {line.points[-1][1]:.4g}"
        for line in lines
        if line.points
    ]
    return f"{title}: {'; '.join(told)}" if told else title


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    """Where the curves are drawn."""

    axes: Axes
    left: float

    @classmethod
    def of(cls, axes: Axes) -> _Plot:
        labels = [_tick_label(tick) for tick in ticks(axes.low, axes.high, log=axes.log)]
        widest = max(text_width(label, 11.5) for label in labels)
        return cls(axes=axes, left=max(_EDGE + widest + 10, 60))

    def x(self, value: float) -> float:
        return self.left + self.axes.across(value, flat=0.5) * _PLOT_WIDTH

    def y(self, value: float) -> float:
        return _TOP + (1 - self.axes.up(value, flat=0.5)) * _PLOT_HEIGHT

    def grid(self) -> Iterator[str]:
        right, bottom = self.left + _PLOT_WIDTH, _TOP + _PLOT_HEIGHT
        for tick in ticks(self.axes.low, self.axes.high, log=self.axes.log):
            y = self.y(tick)
            yield f'<path d="M{self.left:.1f} {y:.1f}H{right:.1f}" class="grid"/>'
            yield words(_tick_label(tick), self.left - 8, y + 4, "label", anchor="end")
        yield f'<path d="M{self.left:.1f} {bottom}H{right:.1f}" class="axis"/>'
        for tick in ticks(self.axes.x_low, self.axes.x_high, log=False, most=8):
            x = self.x(tick)
            yield f'<path d="M{x:.1f} {bottom}v5" class="axis"/>'
            yield words(_tick_label(tick), x, bottom + 19, "label", anchor="middle")
        yield words("step", right, bottom + 38, "label", anchor="end")
        if self.axes.log:
            yield words("logarithmic", self.left, bottom + 38, "label")

    def curve(self, line: Line) -> Iterator[str]:
        """Draw one curve; a single value is a dot."""
        colour = f"s{line.colour % len(SERIES)}"
        kept = thinned(finite_points(line.points), _MOST_POINTS)
        places = [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in kept]
        if len(places) == 1:
            places.append(places[0])  # round caps make a dot of a line of no length
        dash = " held" if line.held_out else ""
        name = f"<title>{attribute(line.whole or line.name)}</title>"
        if places:
            yield f'<path d="M{"L".join(places)}" class="curve {colour}{dash}">{name}</path>'


def thinned(points: Points, most: int) -> list[tuple[float, float]]:
    """Return at most so many points: of each stretch of steps the lowest and the highest value."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(len(points) / (most // 2))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends)
    return kept


def ticks(low: float, high: float, *, log: bool, most: int = 6) -> list[float]:
    """Return the values at which an axis is labelled: 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        for factors in ((1,), (1, 3), (1, 2, 5)):
            found = [f * 10.0**p for p in range(first, last + 1) for f in factors]
            inside = [tick for tick in found if low <= tick <= high]
            if len(inside) >= 3:
                return inside[:: math.ceil(len(inside) / 8)]
        return [low, high]
    raw = (high - low) / most
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    begin = math.ceil(low / step - 1e-9)
    return [round(step * n, 12) for n in range(begin, math.floor(high / step + 1e-9) + 1)]


def _tick_label(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 and value == int(value) else f"{value:.4g}"


class _Legend:
    """The names beside the curves, each with its last value; both curves of a run share a row."""

    def __init__(self, lines: Sequence[Line]) -> None:
        named: dict[tuple[str, int], Line] = {}
        for line in lines:
            named.setdefault((line.name, line.colour), line)
        self._rows = list(named.values())
        self._note = "solid: training, dashed: held-out" if len(named) < len(lines) else ""
        self._values = [f"{r.points[-1][1]:.4g}" if r.points else "" for r in self._rows]
        widest = max((text_width(row.name, 11.5) for row in self._rows), default=0)
        value = max((text_width(text, 11, "mono") for text in self._values), default=0)
        needed = max(_SAMPLE + 8 + widest + 24 + value, text_width(self._note, 12))
        self._room = min(needed, _LEGEND_ROOM)
        self._name_room = self._room - _SAMPLE - 8 - 24 - value
        self.width = self._room + _EDGE
        self.height = _ROW * (len(self._rows) + (2 if self._note else 1))

    def draw(self, x: float, y: float) -> Iterator[str]:
        """Draw it with its upper left corner at a place."""
        yield words("last", x + self._room, y - 8, "mono dim", anchor="end")
        for row, value in zip(self._rows, self._values, strict=True):
            y += _ROW - 8 if row is self._rows[0] else _ROW
            dash = " held" if row.held_out else ""
            colour = f"s{row.colour % len(SERIES)}"
            yield f'<path d="M{x:.1f} {y:.1f}h{_SAMPLE}" class="curve {colour}{dash}"/>'
            name = cut(row.name, self._name_room, 11.5)
            yield words(name, x + _SAMPLE + 8, y + 4, "label", whole=row.whole or row.name)
            yield words(value, x + self._room, y + 4, "mono dim", anchor="end")
        if self._note:
            yield words(self._note, x, y + _ROW + 8, "subtitle")

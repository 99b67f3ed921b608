"""The time line of a step's memory as a picture: filled by kind, phases marked, the peak named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from modelcli.ledger.timeline import Moment
from modelcli.views.pictures.chart import ticks
from modelcli.views.pictures.look import Canvas, Drawing, Theme, attribute, words
from modelcli.views.pictures.measure import cut, text_width
from modelcli.views.text import show_brief, show_bytes

_PLOT_WIDTH, _PLOT_HEIGHT = 640, 330
_TOP, _BOTTOM, _EDGE = 84, 56, 24
_ROW, _SAMPLE = 22, 14
_NARROW = 46  # a phase below this width has no name beside its mark

# From the ground up: what stands during the whole step lies lowest. The colours are those of kinds
# of layers and of series that are farthest from each other.
_LAYERS: Mapping[str, str] = {
    "parameter": "series0",
    "state": "series6",
    "gradient": "series8",
    "buffer": "series5",
    "input": "series1",
    "saved": "series7",
    "temporary": "activation",
}
RULES = "".join(f".m-{kind}{{fill:${colour}}}" for kind, colour in _LAYERS.items()) + (
    ".phase{stroke:$edge;stroke-width:1;stroke-dasharray:3 4}.top-line{fill:none;stroke:$ink;"
    "stroke-width:1.2;stroke-linejoin:round}.peak{fill:$heat}.peak-line{stroke:$heat;"
    "stroke-width:1.2}.peak-text{fill:$heat;font-size:12.5px;font-weight:700}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPicture:
    """What is drawn.

    Attributes:
        moments: of the step.
        names: of the kinds, for the legend.
        peak: what is said at the peak: module and operation.
    """

    title: str
    subtitle: str
    moments: Sequence[Moment]
    names: Mapping[str, str]
    peak: str


def svg_memory(picture: MemoryPicture, theme: Theme = "auto") -> Drawing:
    """Draw the time line; the legend tells what each kind holds at the peak."""
    plot = _Plot.of(picture.moments)
    used = [k for k in _LAYERS if any(m.kinds[k] for m in picture.moments)]
    legend_width = max(text_width(picture.names[k], 12) for k in used) + 110 if used else 0
    width = plot.left + _PLOT_WIDTH + 28 + legend_width + _EDGE
    room = width - 2 * _EDGE
    parts = [
        words(cut(picture.title, room, 17, "bold"), _EDGE, 30, "title", whole=picture.title),
        words(cut(picture.subtitle, room, 12), _EDGE, 48, "subtitle", whole=picture.subtitle),
        *plot.grid(),
        *plot.areas(used, picture.names),
        *plot.phases(),
        *plot.peak_mark(picture.peak),
        *_legend(used, picture, plot),
    ]
    most = plot.peak
    spoken = f"{picture.title}: peak {show_bytes(most.live_bytes)} in {most.phase}"
    canvas = Canvas(
        width=width, height=_TOP + _PLOT_HEIGHT + _BOTTOM, title=spoken, theme=theme, rules=RULES
    )
    return canvas.draw(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    """Where the step is drawn."""

    moments: Sequence[Moment]
    left: float
    high: int

    @classmethod
    def of(cls, moments: Sequence[Moment]) -> _Plot:
        high = max(m.live_bytes for m in moments)
        labels = [show_brief(tick, "B") for tick in ticks(0, high or 1, log=False)]
        widest = max(text_width(label, 11.5) for label in labels)
        return cls(moments=moments, left=_EDGE + widest + 10, high=high or 1)

    @property
    def peak(self) -> Moment:
        return max(self.moments, key=lambda m: m.live_bytes)

    def x(self, event: float) -> float:
        first, last = self.moments[0].event, self.moments[-1].event + 1
        return self.left + (event - first) / max(1, last - first) * _PLOT_WIDTH

    def y(self, nbytes: float) -> float:
        return _TOP + (1 - nbytes / (1.08 * self.high)) * _PLOT_HEIGHT

    def grid(self) -> Iterator[str]:
        right, bottom = self.left + _PLOT_WIDTH, _TOP + _PLOT_HEIGHT
        for tick in ticks(0, self.high, log=False):
            y = self.y(tick)
            yield f'<path d="M{self.left:.1f} {y:.1f}H{right:.1f}" class="grid"/>'
            yield words(show_brief(tick, "B"), self.left - 8, y + 4, "label", anchor="end")
        yield f'<path d="M{self.left:.1f} {bottom}H{right:.1f}" class="axis"/>'

    def areas(self, kinds: Sequence[str], names: Mapping[str, str]) -> Iterator[str]:
        """Fill the kinds one above the other, and draw the sum as a line."""
        floor = [0] * len(self.moments)
        for kind in kinds:
            top = [low + m.kinds[kind] for low, m in zip(floor, self.moments, strict=True)]
            path = self._steps(top) + self._steps(floor, back=True)
            title = f"<title>{attribute(names[kind])}</title>"
            yield f'<path d="M{path}Z" class="m-{kind}">{title}</path>'
            floor = top
        yield f'<path d="M{self._steps(floor)}" class="top-line"/>'

    def _steps(self, heights: Sequence[int], *, back: bool = False) -> str:
        """Return the corners of stairs: each moment's height lasts until the next."""
        edges = [self.x(m.event) for m in self.moments] + [self.x(self.moments[-1].event + 1)]
        corners = []
        for place, height in enumerate(heights):
            y = f"{self.y(height):.1f}"
            corners += [f"{edges[place]:.1f} {y}", f"{edges[place + 1]:.1f} {y}"]
        joined = "L".join(reversed(corners) if back else corners)
        return f"L{joined}" if back else joined

    def phases(self) -> Iterator[str]:
        """Mark where each phase begins, and name those that have room."""
        found = [(name, next(group).event) for name, group in groupby(self.moments, _phase_of)]
        ends = [self.x(event) for _, event in found[1:]] + [self.left + _PLOT_WIDTH]
        bottom = _TOP + _PLOT_HEIGHT
        for (name, event), end in zip(found, ends, strict=True):
            start = self.x(event)
            if event != self.moments[0].event and end - start >= 4:
                yield f'<path d="M{start:.1f} {_TOP}V{bottom}" class="phase"/>'
            if end - start >= _NARROW:
                yield words(name, (start + end) / 2, bottom + 20, "label", anchor="middle")
        order, right = "allocations and releases, in order", self.left + _PLOT_WIDTH
        yield words(order, right, bottom + 40, "subtitle", anchor="end")

    def peak_mark(self, told: str) -> Iterator[str]:
        """Mark the highest moment, with its bytes and what ran then."""
        most = self.peak
        x, y = self.x(most.event), self.y(most.live_bytes)
        yield f'<path d="M{x:.1f} {y - 4:.1f}V{_TOP - 8}" class="peak-line"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6" class="peak"/>'
        is_left = x < self.left + _PLOT_WIDTH / 2
        text = f"peak {show_bytes(most.live_bytes)}{f', {told}' if told else ''}"
        room = (self.left + _PLOT_WIDTH - x) if is_left else (x - self.left)
        anchor = "start" if is_left else "end"
        yield words(
            cut(text, room, 12.5, "bold"), x, _TOP - 14, "peak-text", anchor=anchor, whole=text
        )


def _phase_of(moment: Moment) -> str:
    return moment.phase


def _legend(kinds: Sequence[str], picture: MemoryPicture, plot: _Plot) -> Iterator[str]:
    left, y = plot.left + _PLOT_WIDTH + 28, float(_TOP + 4)
    held = plot.peak.kinds
    right = left + max((text_width(picture.names[k], 12) for k in kinds), default=0) + 110
    yield words("at the peak", right, y - 8, "mono dim", anchor="end")
    for kind in reversed(kinds):
        y += _ROW
        square = f'x="{left:.1f}" y="{y - 10:.1f}" width="{_SAMPLE}" height="{_SAMPLE}"'
        yield f'<rect {square} rx="3" class="m-{kind}"/>'
        yield words(picture.names[kind], left + _SAMPLE + 8, y + 1, "label")
        yield words(show_bytes(held[kind]), right, y + 1, "mono dim", anchor="end")

"""Memory over time as a picture: what is alive, by kind, one above the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from modelcli.ledger.timeline import Moment
from modelcli.views.pictures.chart import ticks
from modelcli.views.pictures.look import Canvas, Drawing, Theme, attribute, words
from modelcli.views.pictures.measure import text_width
from modelcli.views.text import show_bytes

_WIDTH, _HEIGHT = 640, 330
_LEFT, _TOP, _BOTTOM, _EDGE = 84, 82, 54, 24
_ROW = 21


def svg_areas(
    moments: Sequence[Moment],
    kinds: Mapping[str, str],
    *,
    title: str,
    subtitle: str = "",
    theme: Theme = "auto",
) -> Drawing:
    """Draw what is alive at every moment, the phases marked, the kinds beside it.

    Args:
        moments: of one step; at least two.
        kinds: the name of every kind, the lowest first.
        title: what stands above.
        subtitle: a line below it.
        theme: one look, or both.
    """
    top = max(moment.live_bytes for moment in moments) or 1
    shown = [kind for kind in kinds if any(moment.kinds[kind] for moment in moments)]
    legend = max(text_width(f"{kinds[kind]} 999.999 GB", 11.5) for kind in shown) + 50
    parts = [
        words(title, _EDGE, 30, "title"),
        words(subtitle, _EDGE, 48, "subtitle"),
        *_grid(top),
        *_areas(moments, shown, kinds, top),
        *_phases(moments),
        *_legend(moments, shown, kinds),
    ]
    told = f"{title}: at most {show_bytes(top)}"
    canvas = Canvas(
        width=_LEFT + _WIDTH + 28 + legend, height=_TOP + _HEIGHT + _BOTTOM, title=told,
        theme=theme,
    )  # fmt: skip
    return canvas.draw(parts)


def _x(place: int, count: int) -> float:
    return _LEFT + _WIDTH * place / max(1, count - 1)


def _y(value: float, top: float) -> float:
    return _TOP + _HEIGHT * (1 - value / top)


def _grid(top: int) -> Iterator[str]:
    for tick in ticks(0, top, log=False):
        y = _y(tick, top)
        yield f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" class="grid"/>'
        yield words(show_bytes(int(tick)), _LEFT - 8, y + 4, "label", anchor="end")


def _areas(
    moments: Sequence[Moment], shown: Sequence[str], kinds: Mapping[str, str], top: int
) -> Iterator[str]:
    below = [0] * len(moments)
    for number, kind in enumerate(shown):
        above = [b + moment.kinds[kind] for b, moment in zip(below, moments, strict=True)]
        count = len(moments)
        there = [f"{_x(n, count):.1f} {_y(value, top):.1f}" for n, value in enumerate(above)]
        back = [f"{_x(n, count):.1f} {_y(value, top):.1f}" for n, value in enumerate(below)]
        tip = attribute(kinds[kind])
        path = "L".join([*there, *reversed(back)])
        yield f'<path d="M{path}Z" class="a{number}"><title>{tip}</title></path>'
        below = above


def _phases(moments: Sequence[Moment]) -> Iterator[str]:
    """Mark where phases begin, and where most is alive."""
    count, at = len(moments), 0
    bottom = _TOP + _HEIGHT
    yield f'<path d="M{_LEFT} {bottom}h{_WIDTH}" class="axis"/>'
    for phase, group in groupby(moments, key=lambda moment: moment.phase):
        x, at = _x(at, count), at + len(list(group))
        yield f'<path d="M{x:.1f} {_TOP - 6}V{bottom + 6}" class="axis"/>'
        if _x(at, count) - x > text_width(phase, 11.5) + 8:  # one of a few moments has no room
            yield words(phase, x + 4, bottom + 19, "label")
    end = _LEFT + _WIDTH
    yield words("allocations and releases, in order", end, bottom + 38, "label", anchor="end")
    peak = max(range(count), key=lambda n: moments[n].live_bytes)
    x = _x(peak, count)
    anchor = "end" if x > _LEFT + _WIDTH / 2 else "start"
    told = f"peak {show_bytes(moments[peak].live_bytes)}"
    yield f'<circle cx="{x:.1f}" cy="{_TOP}" r="3.5" class="ink"/>'
    yield words(told, x - 8 if anchor == "end" else x + 8, _TOP - 8, "strong", anchor=anchor)


def _legend(
    moments: Sequence[Moment], shown: Sequence[str], kinds: Mapping[str, str]
) -> Iterator[str]:
    peak = max(moments, key=lambda moment: moment.live_bytes)
    x, y = _LEFT + _WIDTH + 28, _TOP + 4.0
    yield words("at the peak", x, y, "subtitle")
    for number, kind in reversed(list(enumerate(shown))):
        y += _ROW
        yield f'<rect x="{x}" y="{y - 10:.1f}" width="11" height="11" rx="3" class="a{number}"/>'
        yield words(f"{kinds[kind]} {show_bytes(peak.kinds[kind])}", x + 18, y, "label")

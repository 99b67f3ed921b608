"""Where the time of a pass goes: bars by layer, and the layers under the machine's roof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelcli.machine.record import Ceilings
from modelcli.timing.record import PartRow
from modelcli.views.pictures.look import Canvas, Drawing, Theme, words
from modelcli.views.pictures.measure import cut, text_width
from modelcli.views.pictures.roofline import Roofline
from modelcli.views.text import show_seconds, show_si

_EDGE, _TOP, _WIDTH = 24, 76, 880
_BAR, _GAP = 15, 6
_NAMES, _VALUES = 230, 150
_PLOT_HEIGHT, _PLOT_LEFT = 360, 84
_MOST_BARS = 40
_BOUNDS = (("compute", "compute"), ("memory", "memory"), ("dispatch", "calls"), ("none", "none"))
RULES = """
.compute{fill:$accent}.memory{fill:$heat}.dispatch{fill:$warn}.none{fill:$edge}
.dot{fill-opacity:.75;stroke:$ground;stroke-width:1}.roof{fill:none;stroke:$soft;stroke-width:2}
.dashed{stroke-dasharray:6 5;stroke-width:1.4}
"""


def draw_timing(
    rows: Sequence[PartRow],
    ceilings: Ceilings,
    *,
    whole_s: float,
    title: str,
    subtitle: str = "",
    theme: Theme = "auto",
) -> Drawing:
    """Draw bars in the order of the rows, and below them a roofline.

    Args:
        rows: the parts; of more than forty, the small ones are drawn as one bar.
        whole_s: a forward pass, of which shares are.
    """
    bars = _few(rows)
    bars_end = _TOP + len(bars) * (_BAR + _GAP)
    roofline = Roofline(
        rows=rows,
        ceilings=ceilings,
        whole_s=whole_s,
        left=_PLOT_LEFT,
        top=bars_end + 56,
        width=_WIDTH - _PLOT_LEFT - _EDGE,
        height=_PLOT_HEIGHT,
    )
    parts = [
        words(cut(title, _WIDTH - 2 * _EDGE, 17, "bold"), _EDGE, 30, "title", whole=title),
        words(cut(subtitle, _WIDTH - 2 * _EDGE, 12), _EDGE, 48, "subtitle", whole=subtitle),
        *_legend(),
        *_bars(bars, whole_s),
        *roofline.draw(),
    ]
    height = bars_end + 56 + _PLOT_HEIGHT + 56
    canvas = Canvas(width=_WIDTH, height=height, title=title, theme=theme, rules=RULES)
    return canvas.draw(parts)


def _few(rows: Sequence[PartRow]) -> list[tuple[str, PartRow]]:
    """Return the rows with their names; the smallest of many are one row at the end."""
    if len(rows) <= _MOST_BARS:
        return [(row.path or row.type, row) for row in rows]
    slowest = sorted(rows, key=lambda row: -row.time_s)[: _MOST_BARS - 1]
    kept = {id(row) for row in slowest}
    rest = [row for row in rows if id(row) not in kept]
    others = PartRow(
        path="", depth=0, kind="between", type="", calls=1, time_s=sum(r.time_s for r in rest)
    )
    named = [(row.path or row.type, row) for row in rows if id(row) in kept]
    return [*named, (f"{len(rest)} shorter ones", others)]


def _legend() -> Iterator[str]:
    x = float(_EDGE)
    yield words("bound by", x, 66, "label")
    x += text_width("bound by", 11.5) + 12
    for classes, name in _BOUNDS:
        yield f'<rect x="{x:.1f}" y="57" width="11" height="11" class="{classes}"/>'
        yield words(name, x + 16, 66, "label")
        x += 16 + text_width(name, 11.5) + 16


def _bars(bars: Sequence[tuple[str, PartRow]], whole_s: float) -> Iterator[str]:
    longest = max((row.time_s for _, row in bars), default=0.0) or 1.0
    room = _WIDTH - 2 * _EDGE - _NAMES - _VALUES
    for number, (name, row) in enumerate(bars):
        y = _TOP + number * (_BAR + _GAP)
        wide = max(0.5, room * max(0.0, row.time_s) / longest)
        x = _EDGE + _NAMES
        yield words(cut(name, _NAMES - 10, 11.5), x - 8, y + 12, "label", anchor="end", whole=name)
        yield (
            f'<rect x="{x}" y="{y}" width="{wide:.1f}" height="{_BAR}" '
            f'class="{row.bound or "none"}"/>'
        )
        told = f"{show_seconds(row.time_s)}  {row.time_s / whole_s:.1%}"
        if row.flops_per_s is not None:
            told += f"  {show_si(row.flops_per_s, 'FLOP/s')}"
        yield words(told, x + wide + 6, y + 12, "mono dim")

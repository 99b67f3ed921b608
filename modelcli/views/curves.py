"""Curves of runs, drawn in a line or a few of text, or as SVG and PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from modelcli.errors import UnavailableError

Points = Sequence[tuple[float, float]]

_BARS = "▁▂▃▄▅▆▇█"
# Bits of a Braille character by row and column of its 4 x 2 dots.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def sparkline(values: Sequence[float], *, width: int = 20) -> str:
    """Return the last values as bars in one line, the lowest to the highest of them.

    Values above 0 that span more than a factor of 100 are told apart by their logarithms.
    """
    finite = [value for value in values if math.isfinite(value)][-width:]
    if not finite:
        return ""
    if min(finite) > 0 and max(finite) / min(finite) > 100:
        finite = [math.log10(value) for value in finite]
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    return "".join(_BARS[min(7, int(8 * (value - low) / span))] for value in finite)


def draw_curve(
    curves: Sequence[Points], *, width: int = 60, height: int = 8, names: Sequence[str] = ()
) -> list[str]:
    """Return curves through points (x, y) as lines of Braille dots with the range of both axes.

    Values above 0 that span more than a factor of 100 are drawn on a logarithmic axis, which is
    said above it. Several curves have colours (as ANSI codes), with their names below.

    Args:
        width: columns of the whole drawing, labels included.
    """
    points = [(x, y) for curve in curves for x, y in curve if math.isfinite(y)]
    if len(points) < 2:
        return []
    low, high = min(y for _, y in points), max(y for _, y in points)
    log = low > 0 and high / low > 100
    scale = math.log10 if log else float
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    labels = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"]
    margin = max(len(label) for label in labels)
    width = max(10, width - margin - 3)
    grid = [[0] * width for _ in range(height)]
    owner = [[0] * width for _ in range(height)]  # of a cell's colour: the last curve in it
    for number, curve in enumerate(curves):
        dots = [
            (
                _place(x, x_low, x_high, 2 * width),
                _place(scale(y), scale(low), scale(high), 4 * height),
            )
            for x, y in curve
            if math.isfinite(y)
        ]
        for column, row in _joined(dots):
            upside = 4 * height - 1 - row
            grid[upside // 4][column // 2] |= _DOTS[upside % 4][column % 2]
            owner[upside // 4][column // 2] = number
    lines = []
    for label, cells, owners in zip(labels, grid, owner, strict=True):
        text = "".join(chr(0x2800 + cell) for cell in cells)
        if len(curves) > 1:
            text = "".join(_coloured(dot, of) for dot, of in zip(text, owners, strict=True))
        lines.append(f"{label.rjust(margin)} ┤{text}")
    above = [" " * (margin + 2) + "logarithmic"] if log else []
    legend = "  ".join(_coloured(f"━ {name}", number) for number, name in enumerate(names))
    below = [" " * (margin + 2) + legend] if len(curves) > 1 and names else []
    return [*above, *lines, " " * (margin + 2) + f"step {x_low:g} to {x_high:g}", *below]


_ANSI = (36, 31, 32, 35, 33, 34, 96, 91)


def _coloured(text: str, number: int) -> str:
    return f"\x1b[{_ANSI[number % len(_ANSI)]}m{text}\x1b[0m"


def _place(value: float, low: float, high: float, size: int) -> int:
    span = high - low
    return min(size - 1, int((value - low) / span * size)) if span else 0


def _joined(dots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the dots with straight lines between them."""
    joined = list(dots[:1])
    for (x0, y0), (x1, y1) in pairwise(dots):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        joined += [
            (round(x0 + (x1 - x0) * i / steps), round(y0 + (y1 - y0) * i / steps))
            for i in range(1, steps + 1)
        ]
    return joined


def save_png(curves: Mapping[str, Points], path: Path, *, title: str) -> None:
    """Draw curves into a PNG.

    Raises:
        UnavailableError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UnavailableError(
            "a .png needs matplotlib, which is not installed",
            "pip install 'modelcli[plot]', or write an .svg, which needs nothing",
        ) from None
    figure = Figure(figsize=(7.2, 4.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    values = [y for points in curves.values() for _, y in points if math.isfinite(y)]
    for name, points in curves.items():
        axes.plot([x for x, _ in points], [y for _, y in points], label=name)
    if values and min(values) > 0 and max(values) / min(values) > 100:
        axes.set_yscale("log")
    axes.set(title=title, xlabel="step")
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
    figure.savefig(path)


_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 30, 45


def svg_curves(curves: Mapping[str, Points], *, title: str = "loss") -> str:
    """Return an SVG document with one line per curve; logarithmic where values span 100 to 1."""
    points = [(x, y) for curve in curves.values() for x, y in curve if math.isfinite(y)]
    if not points:
        points = [(0.0, 0.0)]
    low, high = min(y for _, y in points), max(y for _, y in points)
    log = low > 0 and high / low > 100
    scale = math.log10 if log else float
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)

    def place(x: float, y: float) -> str:
        inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        across = (x - x_low) / (x_high - x_low) if x_high > x_low else 0.5
        span = scale(high) - scale(low)
        up = (scale(y) - scale(low)) / span if span else 0.5
        return f"{_LEFT + across * inner_width:.1f},{_HEIGHT - _BOTTOM - up * inner_height:.1f}"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_WIDTH / 2:.0f}" y="18" text-anchor="middle" font-size="14">'
        f"{escape(title)}</text>",
    ]
    for tick in _ticks(low, high, log=log):
        x, y = place(x_low, tick).split(",")
        lines.append(
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        )
    for tick in _ticks(x_low, x_high, log=False):
        x = place(tick, low).split(",")[0]
        lines.append(
            f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        )
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [place(x, y) for x, y in curve if math.isfinite(y)]
        if len(places) == 1:
            x, y = places[0].split(",")
            lines.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>')
        path = " ".join(places)
        lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
        )
        if len(curves) > 1:
            y_text = _TOP + 14 + 16 * number
            lines.append(
                f'<text x="{_WIDTH - _RIGHT - 8}" y="{y_text}" text-anchor="end" '
                f'fill="{colour}">{escape(name)}</text>'
            )
    lines.append(f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">step</text>')
    if log:
        lines.append(f'<text x="8" y="{_TOP - 12}">logarithmic</text>')
    return "\n".join([*lines, "</svg>", ""])


def _ticks(low: float, high: float, *, log: bool) -> list[float]:
    if high <= low:
        return [low]
    if log:
        first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
        powers = [10.0**power for power in range(first, last + 1)]
        return powers if len(powers) > 1 else [low, high]
    raw = (high - low) / 5
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step)
    return [round(step * n, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]

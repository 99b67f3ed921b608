"""Curves of runs as SVG and PNG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from modelcli.errors import UnavailableError
from modelcli.views.curves import Axes, Points, finite_points

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 30, 45


def svg_curves(curves: Mapping[str, Points], *, title: str = "loss") -> str:
    """Return an SVG document with one line per curve; logarithmic where values span 100 to 1."""
    points = finite_points([point for curve in curves.values() for point in curve])
    axes = Axes.of(points or [(0.0, 0.0)])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_WIDTH / 2:.0f}" y="18" text-anchor="middle" font-size="14">'
        f"{escape(title)}</text>",
        *_svg_ticks(axes),
    ]
    for number, (name, curve) in enumerate(curves.items()):
        lines += _svg_curve(number, name if len(curves) > 1 else "", finite_points(curve), axes)
    lines.append(f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">step</text>')
    if axes.log:
        lines.append(f'<text x="8" y="{_TOP - 12}">logarithmic</text>')
    return "\n".join([*lines, "</svg>", ""])


def _x(axes: Axes, x: float) -> str:
    return f"{_LEFT + axes.across(x, flat=0.5) * (_WIDTH - _LEFT - _RIGHT):.1f}"


def _y(axes: Axes, y: float) -> str:
    return f"{_HEIGHT - _BOTTOM - axes.up(y, flat=0.5) * (_HEIGHT - _TOP - _BOTTOM):.1f}"


def _svg_ticks(axes: Axes) -> Iterator[str]:
    for tick in _ticks(axes.low, axes.high, log=axes.log):
        y = _y(axes, tick)
        yield (
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        )
    for tick in _ticks(axes.x_low, axes.x_high, log=False):
        x = _x(axes, tick)
        yield f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'


def _svg_curve(number: int, name: str, curve: Points, axes: Axes) -> Iterator[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    places = [(_x(axes, x), _y(axes, y)) for x, y in curve]
    if len(places) == 1:
        x, y = places[0]
        yield f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    path = " ".join(f"{x},{y}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
    if name:
        yield (
            f'<text x="{_WIDTH - _RIGHT - 8}" y="{_TOP + 14 + 16 * number}" text-anchor="end" '
            f'fill="{colour}">{escape(name)}</text>'
        )


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

"""Curves as SVG, written out by hand so that they need no other package. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 30, 45


def svg_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]], *, title: str = "loss", y_label: str = ""
) -> str:
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
        path = " ".join(place(x, y) for x, y in curve if math.isfinite(y))
        lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
        )
        if len(curves) > 1:
            y_text = _TOP + 14 + 16 * number
            lines.append(
                f'<text x="{_WIDTH - _RIGHT - 8}" y="{y_text}" text-anchor="end" '
                f'fill="{colour}">{escape(name)}</text>'
            )
    axis = f"step{', logarithmic ' + y_label if log else ''}".strip()
    lines.append(
        f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(axis)}</text>'
    )
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

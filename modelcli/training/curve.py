"""Curves as text: a sparkline in a line, a plot in a few. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_BARS = "▁▂▃▄▅▆▇█"
# Bits of a Braille character by row and column of its 4 x 2 dots.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def sparkline(values: Sequence[float], *, width: int = 20) -> str:
    """Return the last values as bars in one line, the lowest to the highest of them."""
    finite = [value for value in values if math.isfinite(value)][-width:]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    return "".join(_BARS[min(7, int(8 * (value - low) / span))] for value in finite)


def draw_curve(
    curves: Sequence[Sequence[tuple[float, float]]],
    *,
    width: int = 60,
    height: int = 8,
    x_label: str = "step",
) -> list[str]:
    """Return curves through points (x, y) as lines of Braille dots with the range of both axes.

    Values above 0 that span more than a factor of 100 are drawn on a logarithmic axis, which the
    last line says.
    """
    points = [(x, y) for curve in curves for x, y in curve if math.isfinite(y)]
    if len(points) < 2:
        return []
    low, high = min(y for _, y in points), max(y for _, y in points)
    log = low > 0 and high / low > 100
    scale = math.log10 if log else float
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    grid = [[0] * width for _ in range(height)]
    for curve in curves:
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
    labels = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"]
    margin = max(len(label) for label in labels)
    lines = [
        f"{label.rjust(margin)} ┤{''.join(chr(0x2800 + cell) for cell in row)}"
        for label, row in zip(labels, grid, strict=True)
    ]
    axis = f"{x_label} {x_low:g} to {x_high:g}{', logarithmic' if log else ''}"
    return [*lines, " " * (margin + 2) + axis]


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

"""Curves of runs, drawn in a line or a few of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelcli.views.text import Styled, printable

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


def bars(counts: Sequence[int]) -> str:
    """Return a histogram in one line: a bar a bin, blank where nothing fell."""
    most = max(counts, default=0)
    return "".join(_BARS[min(7, 8 * count // most)] if count else " " for count in counts)


def level_bars(values: Sequence[float], most: float) -> str:
    """Return values from 0 as bars in one line, ``most`` as the highest."""
    return "".join(_BARS[min(7, int(8 * value / most))] for value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The ranges of curves; values above 0 that span more than a factor of 100 are logarithmic."""

    x_low: float
    x_high: float
    low: float
    high: float

    @classmethod
    def of(cls, points: Points) -> Axes:
        """Return the ranges of points, which must not be empty."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        return cls(x_low=min(xs), x_high=max(xs), low=min(ys), high=max(ys))

    @property
    def log(self) -> bool:
        """Whether the values are drawn by their logarithms."""
        return self.low > 0 and self.high / self.low > 100

    def across(self, x: float, *, flat: float) -> float:
        """Return a share of the width, from 0 to 1; ``flat`` where all x are one."""
        return (x - self.x_low) / (self.x_high - self.x_low) if self.x_high > self.x_low else flat

    def up(self, y: float, *, flat: float) -> float:
        """Return a share of the height, from 0 to 1; ``flat`` where all values are one."""
        scale = math.log10 if self.log else float
        span = scale(self.high) - scale(self.low)
        return (scale(y) - scale(self.low)) / span if span else flat


def finite_points(curve: Points) -> list[tuple[float, float]]:
    """Return the points whose value is finite."""
    return [(x, y) for x, y in curve if math.isfinite(y)]


def draw_curve(
    curves: Sequence[Points],
    *,
    width: int = 60,
    height: int = 8,
    names: Sequence[str] = (),
    x_name: str = "step",
) -> list[str]:
    """Return curves through points (x, y) as lines of Braille dots with the range of both axes.

    Values above 0 that span more than a factor of 100 are drawn on a logarithmic axis, which is
    said above it. Several curves have colours (as ANSI codes), with their names below.

    Args:
        width: columns of the whole drawing, labels included.
        x_name: what x counts.
    """
    points = [point for curve in curves for point in finite_points(curve)]
    if len(points) < 2:
        return []
    axes = Axes.of(points)
    labels = [f"{axes.high:.4g}", *[""] * (height - 2), f"{axes.low:.4g}"]
    margin = max(len(label) for label in labels)
    rows = _braille(curves, axes, max(10, width - margin - 3), height)
    indent = " " * (margin + 2)
    lines = [f"{label.rjust(margin)} ┤{row}" for label, row in zip(labels, rows, strict=True)]
    above = [f"{indent}logarithmic"] if axes.log else []
    legend = "  ".join(
        _coloured(f"━ {printable(name)}", number) for number, name in enumerate(names)
    )
    below = [indent + legend] if len(curves) > 1 and names else []
    drawn = [*above, *lines, f"{indent}{x_name} {axes.x_low:g} to {axes.x_high:g}", *below]
    return [Styled(line) for line in drawn]


def _braille(curves: Sequence[Points], axes: Axes, width: int, height: int) -> list[str]:
    """Return the rows of characters, each with 4 x 2 dots; the last curve in one colours it."""
    grid = [[0] * width for _ in range(height)]
    owner = [[0] * width for _ in range(height)]
    for number, curve in enumerate(curves):
        dots = [
            (
                min(2 * width - 1, int(axes.across(x, flat=0) * 2 * width)),
                min(4 * height - 1, int(axes.up(y, flat=0) * 4 * height)),
            )
            for x, y in finite_points(curve)
        ]
        for column, row in _joined(dots):
            upside = 4 * height - 1 - row
            grid[upside // 4][column // 2] |= _DOTS[upside % 4][column % 2]
            owner[upside // 4][column // 2] = number
    rows = []
    for cells, owners in zip(grid, owner, strict=True):
        text = "".join(chr(0x2800 + cell) for cell in cells)
        if len(curves) > 1:
            text = "".join(_coloured(dot, of) for dot, of in zip(text, owners, strict=True))
        rows.append(text)
    return rows


_ANSI = (36, 31, 32, 35, 33, 34, 96, 91)


def _coloured(text: str, number: int) -> str:
    return f"\x1b[{_ANSI[number % len(_ANSI)]}m{text}\x1b[0m"


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

"""How the working of a cell is written: numbers, sums, matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Cell = tuple[int, ...]
_GAP = "   "
_MOST_WIDE = 78  # a terminal of 80 columns would break the rows of a wider matrix
_MOST_TERMS = 8  # of a written sum; longer ones are cut in the middle


@dataclass(frozen=True, slots=True)
class Worked:
    """A cell worked out: the lines of the working, and the value that they lead to."""

    lines: tuple[str, ...]
    value: float


def show_number(value: float) -> str:
    """Return a number with six significant digits, as ``0.333333`` or ``-2``."""
    return f"{value:.6g}"


def number(tensor: Tensor) -> float:
    """Return the value of a tensor of one element."""
    return float(tensor.detach())


def written_sum(terms: Sequence[str]) -> str:
    """Join terms to a sum, cut in the middle where it is long."""
    shown = list(terms)
    if len(shown) > _MOST_TERMS:
        half = _MOST_TERMS // 2
        shown = [*shown[:half], f"... {len(terms) - 2 * half} more ...", *shown[-half:]]
    return " + ".join(shown)


def written_products(left: Tensor, right: Tensor) -> str:
    """Write the products of two vectors as a sum: ``1*0.5 + 2*(-1)``."""
    pairs = zip(left.flatten().tolist(), right.flatten().tolist(), strict=True)
    return written_sum([f"{show_number(a)}*{bracketed(b)}" for a, b in pairs])


def bracketed(value: float) -> str:
    """Return a number, in brackets if it is negative."""
    return f"({show_number(value)})" if value < 0 else show_number(value)


def written_matrix(tensor: Tensor) -> list[str]:
    """Lay a vector or matrix out in aligned lines."""
    rows = tensor.reshape(-1, tensor.shape[-1]) if tensor.dim() else tensor.reshape(1, 1)
    cells = [[f"{value:.4g}" for value in row] for row in rows.tolist()]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]


def side_by_side(blocks: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Set titled blocks of lines beside each other; below each other where that is too wide."""
    widths = [max(len(title), *map(len, lines)) for title, lines in blocks]
    if sum(widths) + len(_GAP) * (len(blocks) - 1) > _MOST_WIDE:
        return [line for title, lines in blocks for line in (title, *lines)]
    height = max(len(lines) for _, lines in blocks)
    columns = [
        [line.ljust(width) for line in (title, *lines, *[""] * (height - len(lines)))]
        for (title, lines), width in zip(blocks, widths, strict=True)
    ]
    return [_GAP.join(parts).rstrip() for parts in zip(*columns, strict=True)]

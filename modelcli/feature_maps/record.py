"""The records that every family of layers returns: one per axis, one per layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelcli.feature_maps.reach import Reach

Shape = tuple[int, ...]
Ranges = tuple[tuple[int, int], ...]  # inclusive, ascending


@dataclass(frozen=True, slots=True)
class AxisName:
    """How an axis and its cells are spoken of."""

    letter: str
    name: str
    one: str
    many: str
    before: str
    after: str

    def count(self, number: int) -> str:
        """Write a number of cells: ``1 row``, ``5 rows``."""
        return f"{number} {self.one if number == 1 else self.many}"


_LENGTH = AxisName("L", "length", "position", "positions", "in front", "behind")
_DEPTH = AxisName("D", "depth", "slice", "slices", "in front", "behind")
_HEIGHT = AxisName("H", "height", "row", "rows", "above", "below")
_WIDTH = AxisName("W", "width", "column", "columns", "on the left", "on the right")


def axis_names(dims: int) -> tuple[AxisName, ...]:
    """Return the names of the axes of a map in 1, 2 or 3 dimensions, outermost first."""
    return ((_LENGTH,), (_HEIGHT, _WIDTH), (_DEPTH, _HEIGHT, _WIDTH))[dims - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisResult:
    """One axis of one layer, computed: sizes in cells, None where the layer has no such number.

    Attributes:
        stride: None too where the window does not move regularly.
        padding: cells added before and after (negative: cut off).
        formula: the formula with the numbers filled in and its result; ``rule`` has letters.
        steps: the working, one step each, as words and arithmetic.
        reach: the input interval that each output cell sees.
        unseen: input cells that no window covers.
    """

    axis: AxisName
    size_in: int
    size_out: int
    kernel: int | None = None
    stride: int | None = None
    padding: tuple[int, int] | None = None
    dilation: int | None = None
    formula: str
    rule: str
    steps: tuple[tuple[str, str], ...]
    reach: Reach
    unseen: Ranges = ()

    @property
    def span(self) -> int | None:
        """Cells from the kernel's first to its last: d(k - 1) + 1; None without a kernel."""
        if self.kernel is None or self.dilation is None:
            return None
        return self.dilation * (self.kernel - 1) + 1


Sees = Literal["windows", "same", "everything", "mixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One layer applied to one shape.

    Attributes:
        type: the class name that torch gives it, ``Conv2d``.
        axes: the spatial axes that it works on, outermost first.
        sees: what a cell of the output depends on: ``windows`` of the input as ``axes`` say, the
            ``same`` cell, ``everything``, or ``mixed`` where cells no longer stand for places.
        channels: how the channel count came about, in words and arithmetic, or None.
        weights: the sizes whose product is the number of weights, and how many biases a layer with
            a bias has; None for a layer without.
        formula: the formula for layers without axes, empty otherwise.
    """

    type: str
    input_shape: Shape
    output_shape: Shape
    axes: tuple[AxisResult, ...] = ()
    sees: Sees
    channels: tuple[str, str] | None = None
    weights: tuple[Shape, int] | None = None
    formula: str = ""


def count_unseen(ranges: Ranges) -> int:
    """Return how many cells the ranges hold."""
    return sum(last - first + 1 for first, last in ranges)


def to_ranges(flags: bytearray) -> Ranges:
    """Return the runs of zero bytes as inclusive ranges."""
    ranges: list[tuple[int, int]] = []
    first = flags.find(0)
    while first >= 0:
        end = flags.find(1, first)
        last = (end if end >= 0 else len(flags)) - 1
        ranges.append((first, last))
        first = flags.find(0, last + 1)
    return tuple(ranges)

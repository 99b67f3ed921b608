"""What one output cell sees along one axis, as an exact map from cells to input intervals.

Every layer moves its window regularly: shifting the output by ``period`` cells shifts what is
seen by ``advance`` cells of the input. A convolution has period 1 and advance ``stride``, a
transposed convolution period ``stride`` and advance 1, a pooling from 7 to 3 cells period 3 and
advance 7. Such maps compose and join exactly, in integers, so that no receptive field is an
estimate (compare Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural
Networks", Distill 2019, which treats period 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

LONGEST_PERIOD = 4096  # beyond it only the first cells are exact; no real map is that irregular


@dataclass(frozen=True, slots=True)
class Reach:
    """The interval of input cells that each output cell sees, borders not yet cut off.

    Both bounds never decrease from one cell to the next, so the interval of a run of cells goes
    from the first one's ``lows`` to the last one's ``highs``. Where ``lows > highs`` a cell sees
    nothing (a transposed convolution whose stride exceeds its kernel leaves such cells).

    Attributes:
        lows: first input cell seen by output cells 0, 1, ..., period - 1.
        highs: last input cell seen by them.
        advance: input cells by which both move on after one period.
    """

    lows: tuple[int, ...]
    highs: tuple[int, ...]
    advance: int

    @property
    def period(self) -> int:
        """Output cells after which the pattern repeats."""
        return len(self.lows)

    @property
    def jump(self) -> Fraction:
        """Input cells between neighbouring output cells."""
        return Fraction(self.advance, self.period)

    @property
    def size(self) -> int:
        """The largest number of input cells that one output cell sees."""
        return max(0, max(high - low + 1 for low, high in zip(self.lows, self.highs, strict=True)))

    @property
    def start(self) -> int:
        """First input cell that output cell 0 sees; negative inside the padding."""
        return self.lows[0]

    def low(self, cell: int) -> int:
        """Return the first input cell that an output cell sees."""
        turns, phase = divmod(cell, len(self.lows))
        return self.lows[phase] + turns * self.advance

    def high(self, cell: int) -> int:
        """Return the last input cell that an output cell sees."""
        turns, phase = divmod(cell, len(self.highs))
        return self.highs[phase] + turns * self.advance

    def then(self, layer: Reach) -> Reach:
        """Return what the cells behind one more layer see of the same input."""
        turns = self.period // gcd(self.period, abs(layer.advance)) if layer.advance else 1
        period = min(turns * layer.period, max(LONGEST_PERIOD, layer.period))
        lows = tuple(self.low(layer.low(cell)) for cell in range(period))
        highs = tuple(self.high(layer.high(cell)) for cell in range(period))
        return Reach(lows, highs, self.low(layer.low(period)) - lows[0])

    def union(self, other: Reach) -> Reach:
        """Return what cells see that see both: the hull of the two intervals.

        Raises:
            ValueError: the two do not advance at the same pace, so their cells do not correspond.
        """
        if self.jump != other.jump:
            raise ValueError(f"jumps {self.jump} and {other.jump} differ")
        period = lcm(self.period, other.period)
        if period > LONGEST_PERIOD:
            period = max(self.period, other.period)
        lows = tuple(min(self.low(cell), other.low(cell)) for cell in range(period))
        highs = tuple(max(self.high(cell), other.high(cell)) for cell in range(period))
        return Reach(lows, highs, self.advance * period // self.period)


SAME = Reach((0,), (0,), 1)  # a cell sees itself


def window(*, kernel_span: int, stride: int, before: int) -> Reach:
    """Return the reach of a window of ``kernel_span`` cells that moves by ``stride``."""
    return Reach((-before,), (kernel_span - 1 - before,), stride)


def from_cells(cells: Sequence[tuple[int, int]], advance: int) -> Reach:
    """Return the reach whose first cells see these intervals, and all others as far further."""
    return Reach(tuple(low for low, _ in cells), tuple(high for _, high in cells), advance)

"""Statistics of one tensor, gathered chunk by chunk in one pass."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelcli.checkpoints.records import TensorStats

Array = NDArray[Any]

_BLOCK = 2048


def reduce_chunks(chunks: Iterable[Array]) -> TensorStats:
    """Return the statistics of a tensor that comes in pieces."""
    reducer = Reducer()
    for chunk in chunks:
        reducer.add(chunk)
    return reducer.stats()


class Reducer:
    """Gathers statistics over chunks; each should fit the processor's cache.

    Means and squared deviations of chunks are merged by the formula of Chan, Golub and LeVeque
    (1979), in double precision. The sums within a chunk run in the chunk's own precision, and
    are done over in double where that would overflow, underflow or cancel.
    """

    def __init__(self) -> None:
        self._count = 0  # finite values
        self._total = 0
        self._mean = 0.0
        self._deviation = 0.0  # sum of squared differences from the mean
        self._squares = 0.0
        self._low = math.inf
        self._high = -math.inf
        self._zeros = self._nan = self._inf = 0

    def add(self, chunk: Array) -> None:
        """Take in more values, of any real or complex type."""
        self._total += chunk.size
        if chunk.size == 0:
            return
        if chunk.dtype.kind == "c":
            chunk = np.abs(chunk)
        low, high = chunk.min(), chunk.max()  # either is NaN when a value is
        if not (math.isfinite(low) and math.isfinite(high)):
            chunk = self._drop_non_finite(chunk)
            if chunk.size == 0:
                return
            low, high = chunk.min(), chunk.max()
        self._low, self._high = min(self._low, float(low)), max(self._high, float(high))
        if low <= 0 <= high:
            zero = chunk == 0
            if zero.any():
                self._zeros += int(np.count_nonzero(zero))
        self._merge(chunk)

    def stats(self) -> TensorStats:
        """Return the figures of everything added so far."""
        some = self._count > 0
        spread = self._deviation / (self._count - 1) if self._count > 1 else 0.0
        return TensorStats(
            mean=self._mean if some else None,
            std=math.sqrt(max(spread, 0.0)) if self._count > 1 else None,
            min=self._low if some else None,
            max=self._high if some else None,
            norm=math.sqrt(self._squares) if some else None,
            zeros=self._zeros / self._total if self._total else 0.0,
            nan=self._nan,
            inf=self._inf,
        )

    def _drop_non_finite(self, chunk: Array) -> Array:
        finite = np.isfinite(chunk)
        nan = int(np.count_nonzero(np.isnan(chunk)))
        self._nan += nan
        self._inf += int(chunk.size - np.count_nonzero(finite)) - nan
        kept: Array = chunk[finite]
        return kept

    def _merge(self, chunk: Array) -> None:
        count, mean, deviation, squares = _moments(chunk)
        total = self._count + count
        apart = mean - self._mean
        self._deviation += deviation + apart * apart * (self._count * count / total)
        self._mean += apart * (count / total)
        self._squares += squares
        self._count = total


def _squares(chunk: Array) -> float:
    """Return the sum of squares, in blocks short enough that single precision holds."""
    whole = chunk.size - chunk.size % _BLOCK
    rows = chunk[:whole].reshape(-1, 1, _BLOCK)
    blocks = np.matmul(rows, rows.reshape(-1, _BLOCK, 1))
    rest = chunk[whole:]
    return float(blocks.sum(dtype=np.float64)) + float(np.dot(rest, rest))


def _moments(chunk: Array) -> tuple[int, float, float, float]:
    """Return count, mean, sum of squared deviations and sum of squares of finite values."""
    if chunk.dtype == np.float32 and chunk.size > _BLOCK:
        with np.errstate(over="ignore", under="ignore"):
            total, squares = float(chunk.sum()), _squares(chunk)
        of_mean = total * total / chunk.size
        # Single precision will do unless it overflowed, vanished, or the mean outweighs the spread.
        if math.isfinite(total) and 1e-25 < squares < math.inf and of_mean < 0.5 * squares:
            return chunk.size, total / chunk.size, squares - of_mean, squares
    wide = chunk.astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        mean = float(wide.mean())
        squares = float(np.dot(wide, wide))
        wide -= mean
        return chunk.size, mean, float(np.dot(wide, wide)), squares

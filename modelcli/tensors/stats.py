"""Statistics of tensors, gathered chunk by chunk in one pass, beside what theory promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelcli.checkpoints.records import TensorStats
from modelcli.tensors.open import BuildOptions, Opened, open_values
from modelcli.tensors.rows import InitTheory, ParamRow

if TYPE_CHECKING:
    from modelcli.initialise.facts import LayerFact
    from modelcli.initialise.rules import InitRule

Array = NDArray[Any]

_BLOCK = 2048
# How far a sample's spread may be from the promised one: this many of its standard errors.
_ERRORS = 5
_FEW = 16


def with_stats(
    opened: Opened,
    rows: Sequence[ParamRow],
    options: BuildOptions,
    *,
    done: Callable[[int], None] = lambda size: None,
) -> list[ParamRow]:
    """Return rows with their statistics and, for a model, what theory says of them.

    Args:
        opened: where the rows come from.
        rows: those to look into.
        options: how the model was built.
        done: told the bytes of every chunk that was read.
    """
    facts, rules = _promises(opened, options.init)
    found: list[ParamRow] = []
    with open_values(opened) as values:
        for row in rows:
            if not values.readable(row.name):
                found.append(row)
                continue
            stats = reduce_chunks(_told(values.chunks(row.name), row, done))
            theory = None
            if row.name in facts:
                fan_in, expected, scheme = facts[row.name].promise(rules.get(row.name), row.shape)
                theory = judge(
                    stats, numel=row.numel, fan_in=fan_in, expected=expected, scheme=scheme
                )
            found.append(replace(row, stats=stats, theory=theory))
    return found


def _promises(
    opened: Opened, init: tuple[InitRule, ...] | None
) -> tuple[dict[str, LayerFact], dict[str, tuple[InitRule, bool]]]:
    """Return the layer around each parameter and the rule that set it; nothing for a file."""
    if opened.model is None:
        return {}, {}
    from modelcli.initialise.apply import match_rules
    from modelcli.initialise.facts import layer_facts

    return layer_facts(opened.model), match_rules(opened.model, init) if init is not None else {}


def _told(chunks: Iterator[Any], row: ParamRow, done: Callable[[int], None]) -> Iterator[Any]:
    """Pass chunks on, and tell how many of the tensor's bytes each stands for."""
    width = row.bytes / max(row.numel, 1)
    for chunk in chunks:
        yield chunk
        done(round(chunk.size * width))


def judge(
    stats: TensorStats,
    *,
    numel: int,
    fan_in: int | None,
    expected: float | None,
    scheme: str,
) -> InitTheory:
    """Set the measured spread beside the promised one.

    The standard error of a sample's standard deviation is at most std / sqrt(2 n) for the
    normal, and less for the uniform distribution.
    """
    gain = None if fan_in is None or stats.std is None else stats.std * math.sqrt(fan_in)
    off = False
    if expected is not None and stats.std is not None and numel >= _FEW:
        allowed = expected * max(0.01, _ERRORS / math.sqrt(2 * numel))
        off = abs(stats.std - expected) > allowed + 1e-12
    return InitTheory(fan_in=fan_in, gain=gain, std=expected, scheme=scheme, off=off)


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

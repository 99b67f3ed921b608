"""What is said of measured times: medians, percentiles, how sure they are. Imports no torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

WARM_WINDOW = 5  # passes of which medians are compared, at least
WARM_TOLERANCE = 0.03  # between two medians that agree
WARM_SHARE = 4  # longer warm-ups compare medians of a quarter of what they ran

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one pass takes.

    Attributes:
        median_s: of blocks of passes, where single ones are too short for the clock.
        p10_s, p90_s: of single passes.
        runs: passes behind the median.
        singles: passes behind the percentiles.
        spread: the middle half's width in parts of the median.
        error: standard error of the median, in parts of it.
        drift: how far the median of a round is from the median of all, at most; rounds are spread
            over the time that the command takes.
    """

    median_s: float
    p10_s: float
    p90_s: float
    runs: int
    singles: int
    spread: float
    error: float
    drift: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of them lies, between neighbours in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def describe_times(
    rounds: Sequence[Sequence[float]], singles: Sequence[float], *, runs: int
) -> Latency:
    """Return what is known from rounds of measured passes.

    The standard error of a median is 0.93 IQR / sqrt(n), for values that are about normal
    (McGill, Tukey, Larsen 1978: 1.25 IQR / (1.35 sqrt(n))).

    Args:
        rounds: seconds of a pass, by round; each value may be the mean of a block.
        singles: seconds of single passes.
        runs: passes behind ``rounds``.
    """
    times = [each for one in rounds for each in one]
    median = statistics.median(times)
    width = percentile(times, 0.75) - percentile(times, 0.25)
    medians = [statistics.median(one) for one in rounds if one]
    return Latency(
        median_s=median,
        p10_s=percentile(singles, 0.1),
        p90_s=percentile(singles, 0.9),
        runs=runs,
        singles=len(singles),
        spread=width / median,
        error=0.93 * width / math.sqrt(len(times)) / median,
        drift=max(abs(each / median - 1) for each in medians) if len(medians) > 1 else 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """The passes before the first that counts.

    Attributes:
        first_s: of the very first pass: compilation, autotuning, the first big allocation.
        last_s: of the last one.
        passes: how many there were.
        difference: between the last two medians, in parts of the larger; None for too few passes.
        settled: whether these agree.
    """

    first_s: float
    last_s: float
    passes: int
    difference: float | None
    settled: bool


def judge_warm_up(times: Sequence[float]) -> WarmUp:
    """Compare the median of the last passes with the median of as many before them."""
    window = max(WARM_WINDOW, len(times) // WARM_SHARE)
    if len(times) < 2 * window:
        return WarmUp(
            first_s=times[0],
            last_s=times[-1],
            passes=len(times),
            difference=None,
            settled=False,
        )
    last = statistics.median(times[-window:])
    before = statistics.median(times[-2 * window : -window])
    difference = abs(last - before) / max(last, before)
    return WarmUp(
        first_s=times[0],
        last_s=times[-1],
        passes=len(times),
        difference=difference,
        settled=difference <= WARM_TOLERANCE,
    )


def middle_half(items: Sequence[_Item], key: Callable[[_Item], float]) -> list[_Item]:
    """Return the items whose key lies in the middle half; all of three and fewer.

    The mean over them is robust, and rows that are averaged over the same passes add up to the
    average of the whole. Medians by row do not.
    """
    ordered = sorted(items, key=key)
    cut = len(ordered) // 4
    return ordered[cut : len(ordered) - cut]

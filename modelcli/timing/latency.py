"""How long one pass takes: warm-up, then rounds of torch's own Timer."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.benchmark import Timer

from modelcli.machine.waiting import WaitWatch
from modelcli.timing.statistics import Latency, WarmUp, describe_times, judge_warm_up
from modelcli.timing.subject import seconds_of

ROUNDS = 3  # noise comes in bursts of seconds: runs in a row are not as many samples
_ALL_S = 2.0  # of measuring, over all rounds
_ALL_RUNS = 21
_MOST_S = 30.0  # a pass of seconds is not repeated as often
_LONG_S = 0.02  # of a pass that needs no passes before it, and fills a block of the Timer's alone
_SINGLES = 30  # single passes of a round, where the Timer measures blocks of them

_WARM_LEAST, _WARM_LEAST_S = 3, 0.1
_WARM_MOST, _WARM_MOST_S = 50, 5.0


def warm_up(run: Callable[[], Any], *, passes: int | None = None) -> WarmUp:
    """Run until the last medians agree, or long enough to say that they do not.

    Args:
        passes: as many instead; 0 leaves the first pass alone to tell its own time.
    """
    times: list[float] = []
    while True:
        times.append(seconds_of(run))
        found = judge_warm_up(times)
        spent = sum(times)
        if passes is not None:
            if len(times) >= passes:
                return found
        elif len(times) >= _WARM_LEAST and (
            (spent >= _WARM_LEAST_S and (found.settled or len(times) >= _WARM_MOST))
            or spent >= _WARM_MOST_S
        ):
            return found


class Stopwatch:
    """Times one thing in rounds, so that others can be timed between them.

    Args:
        run: one pass.
        runs: passes in all; None goes by time and count.
    """

    def __init__(self, run: Callable[[], Any], *, runs: int | None = None) -> None:
        # The Timer runs on one thread unless it is told otherwise, whatever the process has set.
        threads = torch.get_num_threads()
        self._timer = Timer("run()", globals={"run": run}, num_threads=threads)
        self._runs = runs
        self._rounds: list[list[float]] = []
        self._singles: list[float] = []
        self._counted = 0
        self.watch = WaitWatch()

    def take_round(self) -> None:
        """Time some passes; the threads of the process are watched meanwhile."""
        with self.watch:
            if self._runs is None:
                self._take_as_needed()
            else:
                self._take(min(-(-self._runs // ROUNDS), self._runs - self._counted))

    def _take(self, runs: int) -> None:
        if runs <= 0:
            return
        times = self._singly(runs)
        self._rounds.append(times)
        self._singles += times
        self._counted += runs

    def _take_as_needed(self) -> None:
        found = self._timer.blocked_autorange(min_run_time=_ALL_S / ROUNDS)
        times = list(found.times)
        needed = min(_ALL_RUNS, int(_MOST_S / found.median)) // ROUNDS
        is_single = found.number_per_run == 1  # a mean of many passes and one pass do not mix
        if is_single and len(times) < needed:
            times += self._singly(needed - len(times))
        self._rounds.append(times)
        self._counted += len(times) * found.number_per_run
        self._singles += times if is_single else self._singly(_SINGLES)

    def _singly(self, runs: int) -> list[float]:
        """Time so many single passes.

        ``timeit(1)`` runs twice before each, which long passes can do without: they are blocks of
        one pass in ``blocked_autorange`` as well.
        """
        times = [self._timer.timeit(1).median]
        if times[0] >= _LONG_S and runs > 1:
            wanted_s = (runs - 1.5) * times[0]
            times += self._timer.blocked_autorange(min_run_time=wanted_s).times[: runs - 1]
        while len(times) < runs:
            times.append(self._timer.timeit(1).median)
        return times

    @property
    def last_s(self) -> float:
        """Seconds of a pass in the last round."""
        return statistics.median(self._rounds[-1])

    def latency(self) -> Latency:
        """Return what all rounds together say."""
        return describe_times(self._rounds, self._singles, runs=self._counted)

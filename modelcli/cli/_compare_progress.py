"""How far a sweep has come: a bar with the last rows above it, or a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from modelcli.cli._meter import Meter
from modelcli.cli._output import Output
from modelcli.cli._terminal import is_terminal
from modelcli.comparing.row import ModelRow
from modelcli.views.compare import row_line
from modelcli.views.train import show_time

_LONG = 100  # models; of so many it is said how long they take
_FIRST = 20  # after so many there is a mean to go by
_EVERY_S = 15.0  # between lines where no bar can be drawn


class SweepProgress:
    """Counts models; a terminal gets a bar and each row above it, a log a line now and then.

    Args:
        out: quiet switches it off.
        count: how many models there are.
    """

    def __init__(self, out: Output, count: int) -> None:
        self._out = out
        self._count = count
        self._done = 0
        self._began_s = self._said_s = time.monotonic()
        self._is_live = is_terminal(sys.stderr)
        self._meter = Meter(out, count, unit="models")

    def __enter__(self) -> Self:
        self._meter.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._meter.__exit__(kind, error, trace)

    def add(self, row: ModelRow) -> None:
        """Count a model that is done."""
        self._done += 1
        now_s = time.monotonic()
        self._meter.add(1, line=row_line(row))
        if self._done == _FIRST and self._count >= _LONG:
            self._say(now_s, "; --limit N takes the first N")
        elif not self._is_live and now_s - self._said_s > _EVERY_S and self._done < self._count:
            self._say(now_s)

    def _say(self, now_s: float, more: str = "") -> None:
        left_s = (now_s - self._began_s) / self._done * (self._count - self._done)
        self._said_s = now_s
        self._meter.say(
            f"{self._done:,} of {self._count:,} models, about {show_time(left_s)} left{more}"
        )

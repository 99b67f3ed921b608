"""How far a long reading or a sweep has come: a bar on a terminal's stderr, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from modelcli.cli._output import Output
from modelcli.cli._terminal import console_on, is_terminal
from modelcli.views.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

_FIRST_AFTER_S = 0.5  # what is over sooner needs no meter

Unit = Literal["bytes", "models"]


class Meter:
    """Counts against a total; the bar is gone when the block ends.

    Args:
        out: quiet switches the meter off.
        total: what there is to do.
        unit: what is counted.
    """

    def __init__(self, out: Output, total: int, *, unit: Unit = "bytes") -> None:
        self._out = out
        self._live = is_terminal(sys.stderr) and not out.quiet
        self._total = total
        self._unit: Unit = unit
        self._done = 0
        self._bar: Progress | None = None
        self._first_s = time.monotonic() + _FIRST_AFTER_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def add(self, count: int, *, line: str = "") -> None:
        """Count what was done, and write a line about it above the bar, if there is one."""
        self._done += count
        if self._bar is None and self._live and time.monotonic() >= self._first_s:
            self._bar = _start(self._total, self._unit)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)
            if line:
                self._print(line)

    def say(self, text: str) -> None:
        """Write a remark, above the bar if there is one."""
        if self._bar is not None:
            self._print(text)
        else:
            self._out.note(text)

    def _print(self, line: str) -> None:
        from rich.text import Text

        assert self._bar is not None
        self._bar.console.print(Text(printable(line), no_wrap=True, overflow="ellipsis"))


def _start(total: int, unit: Unit) -> Progress:
    from rich import progress  # not for a command that is over sooner

    counted: ProgressColumn = (
        progress.DownloadColumn() if unit == "bytes" else progress.MofNCompleteColumn()
    )
    bar = progress.Progress(
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        counted,
        progress.TimeRemainingColumn(),
        console=console_on(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("read" if unit == "bytes" else unit, total=total)
    bar.start()
    return bar

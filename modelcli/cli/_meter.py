"""How far a long reading has come: a bar on a terminal's stderr, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from modelcli.cli._output import Output
from modelcli.cli._terminal import console_on, is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress

_FIRST_AFTER_S = 0.5  # what is over sooner needs no meter


class Meter:
    """Counts bytes against a total; the bar is gone when the block ends.

    Args:
        out: quiet switches the meter off.
        total_bytes: what there is to read.
    """

    def __init__(self, out: Output, total_bytes: int) -> None:
        self._live = is_terminal(sys.stderr) and not out.quiet
        self._total_bytes = total_bytes
        self._done_bytes = 0
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

    def add(self, done_bytes: int) -> None:
        """Count bytes that were read."""
        self._done_bytes += done_bytes
        if self._bar is None and self._live and time.monotonic() >= self._first_s:
            self._bar = _start(self._total_bytes)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done_bytes)


def _start(total_bytes: int) -> Progress:
    from rich import progress  # not for a command that is over sooner

    bar = progress.Progress(
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
        console=console_on(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("read", total=total_bytes)
    bar.start()
    return bar

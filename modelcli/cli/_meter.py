"""How far a long reading has come: one live line on a terminal's stderr, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from modelcli.cli._output import Output
from modelcli.cli._terminal import is_terminal
from modelcli.views.text import show_bytes

_FIRST_AFTER_S = 0.5  # what is over sooner needs no meter
_EVERY_S = 0.1


class Meter:
    """Counts bytes against a total; the line is gone when the block ends.

    Args:
        out: quiet switches the meter off.
        total_bytes: what there is to read.
    """

    def __init__(self, out: Output, total_bytes: int) -> None:
        self._live = is_terminal(sys.stderr) and not out.quiet
        self._total_bytes = total_bytes
        self._done_bytes = 0
        self._drawn = False
        self._next_s = time.monotonic() + _FIRST_AFTER_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn:
            _write("\r\x1b[K")

    def add(self, done_bytes: int) -> None:
        """Count bytes that were read."""
        self._done_bytes += done_bytes
        now_s = time.monotonic()
        if self._live and now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            self._drawn = True
            done, total = show_bytes(self._done_bytes), show_bytes(self._total_bytes)
            share = self._done_bytes / self._total_bytes if self._total_bytes else 1.0
            _write(f"\r\x1b[K{done} of {total} read, {share:.0%}")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()

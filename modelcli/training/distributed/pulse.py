"""Says how far a process is, while it waits in collectives that nothing can interrupt."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

FAILED = "failed"  # key of the store: the rank whose error was told
_PULSE_S = 0.5
_PARTING_S = 5.0  # from the first process's leave to ours, when a run is over


def pulse_key(rank: int) -> str:
    """Return under which key a process says how far it is."""
    return f"met.{rank}"


class Pulse(threading.Thread):
    """Says a few times a second how often a process has waited; ends it once another has failed.

    A collective of torch cannot be interrupted: who waits in one for a process that has failed
    waits until the time limit, and longer with some backends.

    Args:
        store: a connection of its own.
        met: how often the process has waited so far.
    """

    def __init__(self, rank: int, store: Any, met: Callable[[], int]) -> None:
        super().__init__(name="modelcli-pulse", daemon=True)
        self._rank = rank
        self._store = store
        self._met = met
        self._done = threading.Event()
        self._told = -1

    def run(self) -> None:
        """Until the run is over."""
        while not self._done.wait(_PULSE_S):
            try:
                met = self._met()
                if met != self._told:
                    self._store.set(pulse_key(self._rank), str(met))
                    self._told = met
                if self._store.check([FAILED]):
                    if self._store.get(FAILED) != str(self._rank).encode():
                        os._exit(1)
                    return
            except (RuntimeError, ValueError):
                if not self._done.wait(_PARTING_S):  # the process that kept the store is gone
                    os._exit(1)

    def stop(self) -> None:
        """Be silent."""
        self._done.set()

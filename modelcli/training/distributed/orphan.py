"""No process outlives the one that started it. Imports no torch."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
_LOOK_S = 1.0


def end_with_launcher(launcher: int | None) -> None:
    """End this process as soon as its launcher ends, even by SIGKILL.

    Args:
        launcher: process number of the one that started this one; None: nobody of ours.
    """
    if launcher is None or os.getpid() == launcher:
        return
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:  # it ended before we asked
        os._exit(1)
    threading.Thread(target=_watch, args=(launcher,), name="modelcli-orphan", daemon=True).start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(_LOOK_S)
    os._exit(1)

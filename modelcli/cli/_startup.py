"""What makes a process of our own faster; a library must not do this to its host.

**The garbage collector.** Importing torch makes several hundred thousand objects that live as long
as the process. Collecting among them takes 0.2 s and finds nothing.

**The threads.** A thread of OpenMP that waits for another spins for milliseconds before it sleeps.
On idle cores that makes LeNet's steps a tenth faster; where the cores have other work to do it
takes its turn from the very thread it waits for: beside two busy processes on two cores, five
passes of LeNet over digits took 3 to 49 s, and 2.9 with a spin of some microseconds.

**The memory.** glibc gives freed memory back to the system, at once where a block was large, and
gets it again page by page, zeroed. A training step frees what the next one takes: LeNet at batch
1,024 met 5,000 to 18,000 page faults a step, and trains 1.3 times as fast without them.
"""

from __future__ import annotations

import gc
import os

from modelcli.cli._defer_dynamo import defer_dynamo

__all__ = ["defer_dynamo", "pause_collection", "prepare_long_run", "spin_briefly_if_busy"]


def spin_briefly_if_busy(loadavg: str = "/proc/loadavg") -> None:
    """Let waiting threads sleep soon where other programs run, unless the user says how to wait.

    Read when torch loads its OpenMP; other runtimes than GNU's do not look at it. Busy is a
    machine on which as many others run at this moment as it has cores.
    Source: https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html, proc_loadavg(5)

    Args:
        loadavg: a file like Linux's, whose fourth word is RUNNING/ALL, ourselves included.
    """
    if "OMP_WAIT_POLICY" in os.environ:
        return
    try:
        with open(loadavg, encoding="ascii") as file:
            others = int(file.read().split()[3].split("/")[0]) - 1
    except (OSError, ValueError, IndexError):  # not Linux
        return
    if others >= (os.cpu_count() or 1):
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def pause_collection() -> None:
    """Collect no garbage until :func:`prepare_long_run`: a short command ends before it pays."""
    gc.disable()


def prepare_long_run() -> None:
    """Collect garbage again, leaving out what importing torch has made, and keep freed memory.

    Nothing is done where collection was not paused: that process is not ours.
    """
    if gc.isenabled():
        return
    gc.freeze()
    gc.enable()
    _keep_freed_memory()


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 32 * 2**20  # the largest that glibc takes; what is larger would leave large holes


def _keep_freed_memory() -> None:
    """Keep freed blocks of up to 32 MiB for whoever asks next; without glibc, do nothing.

    Source: mallopt(3), where -1 disables trimming.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl and macOS, or Windows
        return
    mallopt(_M_TRIM_THRESHOLD, -1)
    mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)

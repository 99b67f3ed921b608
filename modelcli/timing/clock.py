"""Clocks that mark a moment at once and tell the time between moments later. No torch at import.

One interface for processors and accelerators: a mark on a CPU is a reading of the clock, on CUDA
an event in the stream of the work, whose time is known once the device has come past it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Clock(Protocol):
    """Marks moments.

    Attributes:
        mark: note this moment.
    """

    mark: Callable[[], Any]

    def begin(self) -> None:
        """Prepare a pass, just before its first mark."""

    def read(self, marks: Sequence[Any]) -> list[int]:
        """Return nanoseconds since the first mark, once all of them have passed."""


class CpuClock:
    """The clock of the processor, in whole nanoseconds so that sums are exact."""

    def __init__(self) -> None:
        self.mark: Callable[[], Any] = time.perf_counter_ns

    def begin(self) -> None:
        """Do nothing: the clock runs."""

    def read(self, marks: Sequence[Any]) -> list[int]:
        """Return nanoseconds since the first mark."""
        return [mark - marks[0] for mark in marks]


class CudaClock:
    """Events in the current stream of a CUDA device.

    The queue is filled first with a kernel that only waits, so long that the launches of a whole
    pass are ahead of the device; what lies between two events is then the time of kernels. Where
    the model waits for the device itself (``.item()``), the rest of the pass is launched into an
    empty queue, and its tiles are the longer of kernel and launch.

    Args:
        device: whose stream.
        cuda: ``torch.cuda``; another source of events in tests.
        ahead_s: how long a pass takes to launch.
    """

    _CYCLES_PER_S = 2e9  # of the fastest devices: on others the kernel waits longer

    def __init__(self, device: Any, *, cuda: Any = None, ahead_s: float = 0.0) -> None:
        if cuda is None:
            import torch

            cuda = torch.cuda
        self._cuda = cuda
        self._device = device
        self.ahead_s = ahead_s
        self._spare: list[Any] = []
        self.mark: Callable[[], Any] = self._mark

    def _mark(self) -> Any:
        event = self._spare.pop() if self._spare else self._cuda.Event(enable_timing=True)
        event.record(self._cuda.current_stream(self._device))
        return event

    def begin(self) -> None:
        """Let the device wait until the pass is launched."""
        if self.ahead_s:
            self._cuda._sleep(int(self.ahead_s * self._CYCLES_PER_S))

    def read(self, marks: Sequence[Any]) -> list[int]:
        """Wait for the last event; return nanoseconds since the first, and keep the events.

        Events resolve about half a microsecond: the readings are whole numbers so that sums are
        exact, not because they are that fine.
        """
        marks[-1].synchronize()
        first = marks[0]
        times = [round(first.elapsed_time(mark) * 1e6) for mark in marks]
        self._spare.extend(marks)
        return times


def clock_for(device: Any, *, ahead_s: float = 0.0) -> Clock:
    """Return the clock of a device."""
    if device.type == "cuda":
        return CudaClock(device, ahead_s=ahead_s)
    return CpuClock()

"""How long the threads of this process ran, and how long they waited for a core.

Linux keeps both for every thread, for anyone to read, in containers too. A thread that is ready to
run and is not running waits because something else runs in its place: that is what a busy machine
does to a measurement. The spread of the times alone does not tell it: two threads that wait for
each other behind a third program are slow, and steadily so.
Source: Documentation/scheduler/sched-stats.rst of Linux, ``/proc/<pid>/schedstat``.
Imports no torch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What the threads of this process did in some time.

    Attributes:
        wall_s: how long that was.
        cpu_s: time of all threads on a core.
        waited_s: time of all threads ready to run and without a core; None where it is not told.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    waited_s: float | None = None

    @property
    def share(self) -> float | None:
        """Return the time waited in parts of the time that passed; above 1 with several threads."""
        if self.waited_s is None or not self.wall_s:
            return None
        return self.waited_s / self.wall_s

    def __add__(self, other: Waiting) -> Waiting:
        known = [w for w in (self.waited_s, other.waited_s) if w is not None]
        return Waiting(
            wall_s=self.wall_s + other.wall_s,
            cpu_s=self.cpu_s + other.cpu_s,
            waited_s=sum(known) if known else None,
        )


class WaitWatch:
    """Adds up what the threads do in every block that it is the context of.

    Args:
        tasks: a folder like ``/proc/self/task``.
    """

    def __init__(self, tasks: Path = _TASKS) -> None:
        self.total = Waiting()
        self._tasks = tasks
        self._began: tuple[float, float, dict[str, float]] = (0.0, 0.0, {})

    def __enter__(self) -> Self:
        self._began = time.perf_counter(), time.process_time(), _waited(self._tasks)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        wall, cpu, before = self._began
        after = _waited(self._tasks)
        # a thread that began meanwhile counts from its beginning, one that ended is not known
        waited = sum(max(0.0, after[each] - before.get(each, 0.0)) for each in after)
        self.total += Waiting(
            wall_s=time.perf_counter() - wall,
            cpu_s=time.process_time() - cpu,
            waited_s=waited if after else None,
        )


def _waited(tasks: Path) -> dict[str, float]:
    """Return the seconds that every thread has waited; empty where the system does not say."""
    return dict(_read(tasks))


def _read(tasks: Path) -> Iterator[tuple[str, float]]:
    try:
        threads = list(tasks.iterdir())
    except OSError:
        return
    for thread in threads:
        try:
            words = (thread / "schedstat").read_text(encoding="ascii").split()
            yield thread.name, int(words[1]) / 1e9
        except (OSError, ValueError, IndexError):  # it ended, or the kernel keeps no statistics
            continue

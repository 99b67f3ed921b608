"""Work that a model gives to other threads and processes while a pass runs.

torch keeps its modes for each thread, so that a pass sees nothing of what a thread of the model's
own does. What starts a thread or hands work to one is replaced while the pass runs, so that the
observers go along; it is put back afterwards. Another process cannot be followed, and is named.

Each piece of work is given a moment to end before the model goes on: where pieces do not wait for
one another, which is nearly always, they run in the order in which they were started, and rows have
the same order every time.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from multiprocessing import process
from typing import Any

from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from modelcli.reentry import inside_of, open_calls
from modelcli.tracing.notes import Frame

_MOMENT_S = 0.2
_MOST_WAITS = 10  # that were in vain; from then on the work depends on other work
_LOOPS = ("concurrent.futures", "multiprocessing")  # whose threads wait for work without an end
_PROCESS = ("another process", "what runs in another process is not seen")

Watch = Callable[[], contextlib.AbstractContextManager[None]]


def fake_modes() -> list[Any]:
    """Return the modes of this thread that make tensors fake."""
    modes = _get_current_dispatch_mode_stack()
    return [mode for mode in modes if type(mode).__name__ == "FakeTensorMode"]


class OpenCalls(threading.local):
    """The open calls of each thread, the innermost last; a thread starts with the outermost."""

    def __init__(self, root: Frame) -> None:
        self.frames = [root]
        self.followed = False
        self._isolated = 0

    def follow(self) -> None:
        """Begin to follow this thread."""
        self.followed = True
        self._isolated = open_calls()

    @property
    def here(self) -> bool:
        """Whether this thread works for the pass, and not for another call inside of it."""
        return self.followed and open_calls() == self._isolated


class Threads:
    """Takes the observers of one pass into the threads that the model uses.

    Args:
        calls: the open calls of the pass.
        watch: puts the modes of the pass in place on the thread that enters it.
        on_unknown: is called with a name and a reason when work is given to another process.
    """

    def __init__(
        self, calls: OpenCalls, watch: Watch, on_unknown: Callable[[str, str], None]
    ) -> None:
        self._calls = calls
        self._watch = watch
        self._on_unknown = on_unknown
        self._over = False
        self._waits = 0

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Follow the work of this thread into others."""
        self._calls.follow()
        with contextlib.ExitStack() as stack:
            for owner, name, new in self._replacements():
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, new)
            try:
                yield
            finally:
                self._over = True
                self._calls.followed = False

    def run_here(self, run: Callable[[], Any]) -> Any:
        """Run something that another thread of the model began, as work of the pass."""
        return self._bound(run, self._calls.frames[0])()

    def _bound(self, run: Callable[..., Any], frame: Frame) -> Callable[..., Any]:
        """Return a function that runs on another thread what was asked for under a frame."""
        fakes, inside = fake_modes(), open_calls()

        @functools.wraps(run, updated=())
        def bound(*args: Any, **kwargs: Any) -> Any:
            if self._over or self._calls.followed:
                return run(*args, **kwargs)
            before, self._calls.frames = self._calls.frames, [frame]
            try:
                with contextlib.ExitStack() as stack:
                    stack.enter_context(inside_of(inside))
                    self._calls.follow()
                    for fake in fakes:
                        stack.enter_context(fake)
                    stack.enter_context(self._watch())
                    return run(*args, **kwargs)
            finally:
                self._calls.frames = before
                self._calls.followed = False

        return bound

    def _work(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Bind work that this thread gives away, if this thread is one of the pass."""
        if not self._calls.here or self._over:
            return run
        return self._bound(run, self._calls.frames[-1])

    def _wait(self, until: Callable[[float], bool]) -> None:
        if self._calls.here and self._waits < _MOST_WAITS and not until(_MOMENT_S):
            self._waits += 1

    def _replacements(self) -> Iterator[tuple[Any, str, Any]]:
        yield threading.Thread, "start", self._thread_start(threading.Thread.start)
        pool = futures.ThreadPoolExecutor
        yield pool, "submit", self._submit(pool.submit)
        yield process.BaseProcess, "start", self._elsewhere(process.BaseProcess.start)
        processes: Any = sys.modules.get("concurrent.futures.process")
        if processes is not None:
            executor = processes.ProcessPoolExecutor
            yield executor, "submit", self._elsewhere(executor.submit)
        pools: Any = sys.modules.get("multiprocessing.pool")
        for name in ("apply_async", "_map_async", "imap", "imap_unordered") if pools else ():
            given = getattr(pools.Pool, name)
            yield pools.Pool, name, self._pooled(given, pools.ThreadPool)

    def _thread_start(self, start: Any) -> Any:
        def started(thread: threading.Thread) -> None:
            target = getattr(thread, "_target", None)
            loops = str(getattr(target, "__module__", "")).startswith(_LOOPS)
            if not loops and self._calls.here:
                thread.run = self._work(thread.run)  # type: ignore[method-assign]
            start(thread)
            if not loops:
                self._wait(lambda moment: _ends(thread, moment))

        return started

    def _submit(self, submit: Any) -> Any:
        def submitted(pool: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            future = submit(pool, self._work(fn), *args, **kwargs)
            self._wait(lambda moment: bool(futures.wait([future], moment).done))
            return future

        return submitted

    def _pooled(self, give: Any, threads: type) -> Any:
        def given(pool: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if isinstance(pool, threads):
                return give(pool, self._work(func), *args, **kwargs)
            if self._calls.here:
                self._on_unknown(*_PROCESS)
            return give(pool, func, *args, **kwargs)

        return given

    def _elsewhere(self, give: Any) -> Any:
        def given(*args: Any, **kwargs: Any) -> Any:
            if self._calls.here:
                self._on_unknown(*_PROCESS)
            return give(*args, **kwargs)

        return given


def _ends(thread: threading.Thread, moment_s: float) -> bool:
    thread.join(moment_s)
    return not thread.is_alive()

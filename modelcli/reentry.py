"""Who is inside of whose pass: one thread at a time, and the threads that a pass has started.

What a pass changes is the process's, so that the others wait for a lock. Within a thread a call may
come from inside another's pass (a hook, a forward that describes a part of itself); it runs as if
alone, and the pass around it sees nothing of it. So it does on a thread that a pass has started,
which may be waiting for it: such a thread takes no lock that the pass holds, but the next one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import _pop_mode as _pop_function_mode
from torch.overrides import _push_mode as _push_function_mode
from torch.utils._python_dispatch import _pop_mode as _pop_dispatch_mode
from torch.utils._python_dispatch import _push_mode as _push_dispatch_mode

_GROWING = threading.Lock()
_LOCKS = [threading.RLock()]  # of calls at each depth; whoever is inside of others holds theirs


class _Here(threading.local):
    """What is open in this thread: how many isolated calls, and what the first found.

    A thread that a pass has started is inside of the calls that the pass is inside of.
    """

    depth = 0
    function_modes = 0
    dispatch_modes = 0


_HERE = _Here()


def lock_here() -> threading.RLock:
    """Return the lock of a call at the depth where this thread is."""
    with _GROWING:
        while len(_LOCKS) <= _HERE.depth:
            _LOCKS.append(threading.RLock())
        return _LOCKS[_HERE.depth]


@contextlib.contextmanager
def inside_of(calls: int) -> Iterator[None]:
    """Let this thread work for a pass of another one, which is inside of so many isolated calls.

    A call from here waits for none of those, which may wait for this thread.
    """
    found = _HERE.depth, _HERE.function_modes, _HERE.dispatch_modes
    _HERE.depth = calls
    _HERE.function_modes = torch._C._len_torch_function_stack()
    _HERE.dispatch_modes = torch._C._len_torch_dispatch_stack()
    try:
        yield
    finally:
        _HERE.depth, _HERE.function_modes, _HERE.dispatch_modes = found


@contextlib.contextmanager
def threads_inside() -> Iterator[None]:
    """Let the threads that are started from here be inside of the calls that are open here."""
    if _HERE.depth > 0:  # the outermost call sees to it
        yield
        return
    start = threading.Thread.start

    def started(thread: threading.Thread) -> None:
        if _HERE.depth > 0:
            thread.run = _within(thread.run, _HERE.depth)  # type: ignore[method-assign]
        start(thread)

    threading.Thread.start = started  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


def _within(run: Callable[[], None], calls: int) -> Callable[[], None]:
    def within() -> None:
        with inside_of(calls):
            run()

    return within


def open_calls() -> int:
    """Return how many isolated calls this thread is inside of.

    A pass that began at another number has been interrupted by a call that is not its own.
    """
    return _HERE.depth


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Let the modes of a pass around this call stand aside, and those of the user stay."""
    if _HERE.depth == 0:
        _HERE.function_modes = torch._C._len_torch_function_stack()
        _HERE.dispatch_modes = torch._C._len_torch_dispatch_stack()
    function_modes: list[Any] = []
    dispatch_modes: list[Any] = []
    _HERE.depth += 1
    try:
        while torch._C._len_torch_function_stack() > _HERE.function_modes:
            function_modes.append(_pop_function_mode())  # type: ignore[no-untyped-call]
        while torch._C._len_torch_dispatch_stack() > _HERE.dispatch_modes:
            dispatch_modes.append(_pop_dispatch_mode())
        yield
    finally:
        for mode in reversed(function_modes):
            _push_function_mode(mode)  # type: ignore[no-untyped-call]
        for mode in reversed(dispatch_modes):
            _push_dispatch_mode(mode)
        _HERE.depth -= 1

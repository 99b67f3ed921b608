"""What makes a process of our own faster; a library must not do this to its host.

**The compiler.** The first operation on meta, the first ``TorchDispatchMode`` and the first
optimiser step each import ``torch._dynamo`` (about as long again as ``import torch``) only to call
its ``disable``, through ``torch._compile._disable_dynamo``. A stand-in answers that one question
and becomes the real module as soon as anything else is asked of it.

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
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"


def _keep(fn: Callable[..., Any] | None = None, *_args: object, **_kwargs: object) -> Any:
    """Stand in for ``torch._dynamo.disable``: without a compiler there is nothing to disable."""
    return fn if fn is not None else _keep


def _pass(msg: str = "") -> None:
    """Stand in for ``torch._dynamo.graph_break``, which does nothing outside a compilation."""


class _DeferredDynamo(ModuleType):
    """Answers ``disable`` and ``graph_break``; anything else loads the real ``torch._dynamo``."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self.__path__: list[str] = []  # a package, so that submodule imports reach the finder
        self.__spec__ = importlib.machinery.ModuleSpec(_NAME, None, is_package=True)
        self.disable = _keep
        self.graph_break = _pass  # what an optimiser step calls around itself

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_load_real(), name)


class _AlreadyLoaded:
    """Hands over a module that importing the real package has loaded on its way."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__
        self._loader = getattr(module, "__loader__", None)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # importlib has just overwritten both
        module.__loader__ = self._loader


class _SubmoduleFinder:
    """Loads the real package before any ``torch._dynamo.x`` is looked for.

    It and its loader follow the protocols of ``importlib.abc`` without importing that: its
    resource readers take 10 ms of a start.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(_NAME + "."):
            return None
        if not isinstance(sys.modules.get(_NAME), _DeferredDynamo):
            return None
        real = _load_real()
        loaded = sys.modules.get(fullname)
        if loaded is not None:
            loader: Any = _AlreadyLoaded(loaded)
            return importlib.machinery.ModuleSpec(fullname, loader)
        return importlib.machinery.PathFinder.find_spec(fullname, real.__path__)


def _load_real() -> ModuleType:
    """Import the real ``torch._dynamo`` in the place of the stand-in."""
    current = sys.modules.get(_NAME)
    if current is not None and not isinstance(current, _DeferredDynamo):
        return current
    sys.modules.pop(_NAME, None)
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _SubmoduleFinder)]
    return importlib.import_module(_NAME)


def defer_dynamo() -> None:
    """Put the stand-in where ``torch._dynamo`` would be, unless it is already loaded."""
    if _NAME in sys.modules or "torch" in sys.modules:
        return
    sys.modules[_NAME] = _DeferredDynamo()
    sys.meta_path.insert(0, _SubmoduleFinder())


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

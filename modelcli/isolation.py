"""Promise 3: the process and the model are left as they were found.

What a user's code or a pass of ours may change is kept here, in one place: random states, default
dtype and device, grad mode, the import path, stdout, warnings, threads, training flags.

All of it is the process's: one thread at a time may change it (see ``reentry``).
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelcli.modules import modules_of, set_flag
from modelcli.reentry import apart, lock_here, open_calls, threads_inside


@contextlib.contextmanager
def isolated(folder: Path | None) -> Iterator[None]:
    """Run a user's code so that the process is afterwards as it was before.

    Args:
        folder: importable meanwhile; None if nothing beside the model is to be imported.
    """
    with contextlib.ExitStack() as stack:
        for kept in (lock_here(), threads_inside(), apart(), _deep_calls()):
            stack.enter_context(kept)
        stack.enter_context(preserved_state())
        stack.enter_context(_kept(_OF_THE_PROCESS))
        # What the caller's own blocks switch off is none of the model's.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(importable(folder))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def preserved_state() -> Iterator[None]:
    """Leave random states, torch's defaults and the thread's grad mode as they were."""
    with preserved_random(), _kept(_OF_TORCH):
        yield


@contextlib.contextmanager
def preserved_random() -> Iterator[None]:
    """Leave the random states of Python, NumPy and torch as they were."""
    alone = open_calls() > 0  # inside of an isolated call, which keeps all others out
    with contextlib.nullcontext() if alone else lock_here():
        numpy_random = sys.modules.get("numpy.random")  # torch imports numpy, nobody its random
        python_state = random.getstate()
        numpy_state = numpy_random.get_state() if numpy_random is not None else None
        in_use = bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
        cuda = list(range(torch.cuda.device_count())) if in_use else []
        try:
            with torch.random.fork_rng(devices=cuda):
                yield
        finally:
            random.setstate(python_state)
            if numpy_random is not None:
                numpy_random.set_state(numpy_state)


_Settings = tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...]


@contextlib.contextmanager
def _kept(settings: _Settings) -> Iterator[None]:
    found = [read() for read, _ in settings]
    try:
        yield
    finally:
        for (read, write), value in zip(settings, found, strict=True):
            if read() != value:
                write(value)


def _default_device() -> torch.device | None:
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)  # not a ``with`` block
    return context.device if context is not None else None


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _enter_folder(folder: str | None) -> None:
    if folder is not None:
        with contextlib.suppress(OSError):
            os.chdir(folder)


def _set_import_path(entries: list[str]) -> None:
    sys.path[:] = entries


def _set_module_call(call: Any) -> None:
    nn.Module.__call__ = call  # type: ignore[method-assign]


# How a setting is read, and how it is put back.
_OF_TORCH: _Settings = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (_default_device, torch.set_default_device),
)
# What a constructor or a forward may set besides. An import keeps what it sets of these: a file may
# need its import path when the model is built.
_OF_THE_PROCESS: _Settings = (
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (lambda: list(sys.path), _set_import_path),
    (_folder, _enter_folder),
    (lambda: nn.Module.__call__, _set_module_call),
)


@contextlib.contextmanager
def importable(folder: Path | None) -> Iterator[None]:
    """Let modules beside a file be imported meanwhile, and keep its prints off stdout."""
    if folder is None:
        with _STDOUT.diverted():
            yield
        return
    entries = [str(root) for root in import_roots(folder)]
    sys.path[:0] = entries
    try:
        with _STDOUT.diverted():
            yield
    finally:
        for entry in entries:
            with contextlib.suppress(ValueError):
                sys.path.remove(entry)


_MARKS_OF_A_ROOT = (".git", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")
_MOST_FOLDERS_UP = 8


def import_roots(folder: Path) -> list[Path]:
    """Return where a file's imports start: its folder, its package's, yours, its repository's."""
    roots = [folder, package_root(folder), _current_folder(), _repository_root(folder)]
    return list(dict.fromkeys(root for root in roots if root is not None))


def package_root(folder: Path) -> Path | None:
    """Return the folder that holds the package which a folder is part of; None if of none."""
    root = folder
    while os.path.isfile(root / "__init__.py") and root.parent != root:
        root = root.parent
    return None if root == folder else root


def _current_folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was deleted
        return None


def _repository_root(folder: Path) -> Path | None:
    for root in [folder, *folder.parents][:_MOST_FOLDERS_UP]:
        if any(os.path.exists(root / mark) for mark in _MARKS_OF_A_ROOT):
            return root
    return None


class _Stdout:
    """Sends stdout to stderr while anybody asks for it, in whatever order they come and go."""

    def __init__(self) -> None:
        self._asking = 0
        self._found: Any = None

    @contextlib.contextmanager
    def diverted(self) -> Iterator[None]:
        with _COUNTING:
            if self._asking == 0:
                self._found, sys.stdout = sys.stdout, sys.stderr
            self._asking += 1
        try:
            yield
        finally:
            with _COUNTING:
                self._asking -= 1
                if self._asking == 0:
                    sys.stdout, self._found = self._found, None


_COUNTING = threading.Lock()  # held for a line or two, never while a user's code runs
_STDOUT = _Stdout()


@contextlib.contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Leave the training flag of every module as it was."""
    modes = [(module, module.training) for module in modules_of(model)]
    try:
        yield
    finally:
        for module, mode in modes:
            set_flag(module, mode)


@contextlib.contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Run small models on one thread: starting the others takes longer than the pass (50 ms)."""
    threads = torch.get_num_threads()
    try:
        if wanted:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)


# Eight calls of Python a level while a pass is observed: ten thousand are more than a thousand
# levels, and far from the end of the stack.
_DEEP = 10_000


@contextlib.contextmanager
def collection_off() -> Iterator[None]:
    """Let Python free by counting alone: when it looks for cycles is no property of a model."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _deep_calls() -> Iterator[None]:
    """Let modules be nested as deep as they are in torch, although each level is observed."""
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(max(limit, _DEEP))
        yield
    finally:
        sys.setrecursionlimit(limit)

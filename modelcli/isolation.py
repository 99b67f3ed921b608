"""Promise 3: the process and the model are left as they were found.

What a user's code or a pass of ours may change is kept here, in one place: random states, default
dtype, grad mode, the import path, stdout, warnings, threads, training flags.
"""

from __future__ import annotations

import contextlib
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn


@contextlib.contextmanager
def isolated(folder: Path | None) -> Iterator[None]:
    """Run a user's code so that the process is afterwards as it was before.

    Args:
        folder: importable meanwhile; None if nothing beside the model is to be imported.
    """
    with preserved_state(), importable(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def preserved_state() -> Iterator[None]:
    """Leave random states, default dtype and the thread's grad mode as they were."""
    numpy_random = sys.modules.get("numpy.random")  # torch imports numpy, nobody its random
    python_state = random.getstate()
    numpy_state = numpy_random.get_state() if numpy_random is not None else None
    grad = torch.is_grad_enabled()
    dtype = torch.get_default_dtype()
    in_use = bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
    cuda = list(range(torch.cuda.device_count())) if in_use else []
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(python_state)
        if numpy_random is not None:
            numpy_random.set_state(numpy_state)
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)


@contextlib.contextmanager
def importable(folder: Path | None) -> Iterator[None]:
    """Let modules beside a file be imported meanwhile, and keep its prints off stdout."""
    if folder is None:
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(entry)


@contextlib.contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Leave the training flag of every module as it was."""
    modes = [(module, module.training) for module in nn.Module.modules(model)]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


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

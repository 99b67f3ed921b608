"""Starts the processes of a run on this machine, with torchrun's own agent.

Torch is imported only when they are started.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelcli.errors import ExitCode, RunFailedError, UnavailableError
from modelcli.training.distributed.place import LAUNCHER, OUTCOME, Place

_SAVE_S = 60  # what processes get to save what they have when they are told to stop


def launch(words: Sequence[str], *, nproc: int, max_restarts: int, device: str) -> int:
    """Run a command line of ours in several processes, and return its exit code.

    Args:
        words: behind ``modelcli``.
        max_restarts: how often all are started again after one has failed.
        device: as the configuration names it.

    Raises:
        RunFailedError: a process was killed, so that it could not say anything itself.
        UnavailableError: there are fewer GPUs than processes.
        KeyboardInterrupt: Ctrl-C, before there was anything to save.
    """
    _check_gpus(nproc, device)
    with tempfile.TemporaryDirectory(prefix="modelcli-") as folder:
        with _environment(_variables(nproc, folder)), _signals_kept(), _no_log():
            try:
                _run_agent(words, nproc, max_restarts)
            except _signal_error() as stop:
                code = _read_code(folder)
                if code is None:
                    raise _stopped(stop.sigval) from None
                return code
            except _failure() as failed:
                if not _was_told(folder, max_restarts):
                    raise _killed(failed, max_restarts) from None
                return int(ExitCode.FAILED)
        return _read_code(folder) or 0


def leave_word(place: Place, name: str, text: str = "") -> None:
    """Leave the launcher a word, from one of its processes.

    Args:
        name: ``exit`` for the code that all end with, ``told`` where an error was written.
    """
    if place.outcome:
        with contextlib.suppress(OSError):
            name = f"{name}.{place.restart}" if name == "told" else name
            (Path(place.outcome) / name).write_text(text, encoding="ascii")


def _run_agent(words: Sequence[str], nproc: int, max_restarts: int) -> None:
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=nproc,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        run_id=uuid.uuid4().hex,
        max_restarts=max_restarts,
        monitor_interval=0.1,
        shutdown_timeout=_SAVE_S,
    )
    elastic_launch(config, sys.executable)("-m", "modelcli", *words)


def _signal_error() -> Any:
    from torch.distributed.elastic.multiprocessing.api import SignalException

    return SignalException


def _failure() -> Any:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    return ChildFailedError


def _stopped(signum: signal.Signals) -> BaseException:
    if signum == signal.SIGINT:
        return KeyboardInterrupt()
    error = RunFailedError(
        f"stopped by {signum.name} before there was anything to save", "nothing more was done"
    )
    if signum == signal.SIGTERM:
        error.exit_code = ExitCode.TERMINATED
    return error


def _killed(failed: Any, max_restarts: int) -> RunFailedError:
    """Return the error of the process that was killed, or else of the first that ended."""
    failures = sorted(failed.failures.items(), key=lambda each: (each[1].exitcode >= 0, each[0]))
    rank, first = failures[0]
    what = f"ended with exit code {first.exitcode}"
    if first.exitcode < 0:
        what = f"killed by {signal.Signals(-first.exitcode).name}"
    hint = "--max-restarts N with --out DIR goes on from the last checkpoint by itself"
    if first.exitcode > 0:
        hint = "what it said is above"
    elif max_restarts:
        hint = f"it was started {max_restarts + 1} times; what was saved can go on with --resume"
    elif first.exitcode == -signal.SIGKILL:
        hint = f"did the machine run out of memory? {hint}"
    return RunFailedError(f"rank {rank}: {what}", hint)


def _check_gpus(nproc: int, device: str) -> None:
    import torch

    if device == "cpu" or torch.version.cuda is None or not torch.cuda.is_available():
        return
    count = torch.cuda.device_count()
    if nproc > count:
        raise UnavailableError(
            f"--nproc {nproc} is more than the GPUs of this machine: {count}",
            f"use --nproc {count}, or --device cpu",
        )


def _variables(nproc: int, folder: str) -> dict[str, str]:
    """Return what the processes find in their environment, where the user says nothing else."""
    wanted = {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // nproc)),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # what gloo says of a peer that is gone, we say better
    }
    return {
        **{name: value for name, value in wanted.items() if name not in os.environ},
        # or a process that starts again reads from the agent's store where a dead one listened
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        LAUNCHER: str(os.getpid()),
        OUTCOME: folder,
    }


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back the handlers that the agent replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    kinds = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [(kind, signal.getsignal(kind)) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in before:
            signal.signal(kind, handler)


@contextlib.contextmanager
def _no_log() -> Iterator[None]:
    """Keep the agent's report off the screen: the error itself is written in two lines."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _read_code(folder: str) -> int | None:
    path = Path(folder) / "exit"
    return int(path.read_text(encoding="ascii")) if os.path.exists(path) else None


def _was_told(folder: str, last: int) -> bool:
    return os.path.exists(Path(folder) / f"told.{last}")

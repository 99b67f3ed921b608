"""Runs a command in several processes, forked from this one: torch is not imported again."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How one process ended: its exit code, negative for a signal, what it wrote, its CPU time."""

    code: int
    out: str
    err: str
    cpu_s: float = 0.0


def run_ranks(
    size: int,
    work: Sequence[str] | Callable[[int], None],
    *,
    ranks: Sequence[int] | None = None,
    environment: Mapping[str, str] | None = None,
    limit_s: float = 60,
) -> list[Ended]:
    """Run a command line or a function as so many ranks, and wait for all.

    Args:
        work: words behind ``modelcli``, or a function of the rank.
        ranks: which of them really start; None: all.
        environment: more variables; ``{rank}`` in a value is the rank.
        limit_s: after which everything is killed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    started = range(size) if ranks is None else ranks
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        children = {}
        for rank in started:
            pid = os.fork()
            if pid == 0:
                _be(rank, size, port, work, Path(folder), environment or {})
            children[pid] = rank
        codes = _wait(dict(children), limit_s)
        return [
            Ended(
                codes[rank][0],
                *(_text(Path(folder) / f"{kind}.{rank}") for kind in ("out", "err")),
                cpu_s=codes[rank][1],
            )
            for rank in started
        ]


def _be(rank, size, port, work, folder, environment):  # type: ignore[no-untyped-def]
    code = 70
    try:
        for number, kind in ((1, "out"), (2, "err")):
            fd = os.open(folder / f"{kind}.{rank}", os.O_WRONLY | os.O_CREAT)
            os.dup2(fd, number)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        os.environ.update(
            RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(size),
            MASTER_ADDR="localhost", MASTER_PORT=str(port), TORCH_CPP_LOG_LEVEL="ERROR",
            **{key: value.format(rank=rank) for key, value in environment.items()},
        )  # fmt: skip
        if callable(work):
            work(rank)
            code = 0
        else:
            from modelcli.cli import main

            code = main(list(work))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(children: dict[int, int], limit_s: float) -> dict[int, tuple[int, float]]:
    until = time.monotonic() + limit_s
    codes = {}
    while children:
        for pid, rank in list(children.items()):
            done, status, used = os.wait4(pid, os.WNOHANG)
            if done:
                cpu_s = used.ru_utime + used.ru_stime
                codes[rank] = (os.waitstatus_to_exitcode(status), cpu_s)
                del children[pid]
        if time.monotonic() > until:
            for pid in children:
                os.kill(pid, 9)
            until = float("inf")
        time.sleep(0.005)
    return codes


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""

"""One command line in a child forked from a warm process, and what is wrong with its end."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil
import re
import resource
import select
import signal
import stat
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 20.0
LONG_S = 90.0  # of what is asked to train or to be timed
ANSWER_S = 1.0  # within which Ctrl-C is answered
MEMORY = 3 * 2**30
CODES = {0, 1, 2, 3, 130, 141, 143}
ESCAPE = "\x1b[31mRED\x1b[0m"
_LINES, _CHARACTERS = 6, 2000
_HELD = {signal.SIGINT, signal.SIGHUP}  # until a child has its own answer to them


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one command line ended.

    Attributes:
        words: without the program's name.
        code: the exit code; negative is the signal that ended it.
        rss: the most memory that it had, in bytes.
        hung: it took longer than it may, and was ended.
        answered: it had ended a second after the Ctrl-C that it was then sent.
    """

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    rss: int
    hung: bool
    answered: bool = True


def warm() -> None:
    """Import all of the package, so that a child starts in some milliseconds."""
    gc.disable()
    from modelcli.cli._startup import defer_dynamo

    defer_dynamo()
    import torch

    import modelcli
    from modelcli.errors import ModelcliError

    torch.set_num_threads(1)
    for item in pkgutil.walk_packages(modelcli.__path__, "modelcli."):
        if "__main__" not in item.name and ".models." not in item.name:
            importlib.import_module(item.name)
    from modelcli.loading.providers.libraries import import_library, lenient_torchvision

    with lenient_torchvision():
        for library in ("torchvision", "timm", "transformers"):
            with contextlib.suppress(ModelcliError):
                import_library(library)


def start(
    words: Sequence[str], folder: Path, *, home: Path, before: Callable[[], object] | None = None
) -> tuple[int, int, int]:
    """Fork a child that runs a command line; return its id and the ends of its two streams."""
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    child = os.fork()
    if child == 0:
        _be_the_command(words, folder, home, (out_end, err_end), before)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    os.close(out_end)
    os.close(err_end)
    return child, out, err


def _be_the_command(
    words: Sequence[str],
    folder: Path,
    home: Path,
    streams: tuple[int, int],
    before: Callable[[], object] | None,
) -> None:
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 2)
        os.closerange(3, 64)
        os.environ["HOME"] = str(home)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_DATA, (2 * MEMORY,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**30,) * 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup leaves it ignored
        sys.argv = ["modelcli", *words]
        if before is not None:
            before()
        code = _code_of_main()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 255)


def _code_of_main() -> int:
    from modelcli.cli import main

    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
        return main()
    except KeyboardInterrupt:  # as the console script has it
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 98
    except BaseException:
        traceback.print_exc()
        return 97


def finish(child: tuple[int, int, int], words: Sequence[str], limit: float) -> Ended:
    """Read what a child writes until it ends, or end it."""
    pid, *streams = child
    began = time.monotonic()
    data: dict[int, bytearray] = {stream: bytearray() for stream in streams}
    opened, hung, answered, until = set(streams), False, True, began + limit
    while opened:
        left = until - time.monotonic()
        ready = select.select(list(opened), [], [], left)[0] if left > 0 else []
        if not ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL if hung else signal.SIGINT)
            if hung:
                answered = False
                break
            hung, until = True, time.monotonic() + ANSWER_S
            continue
        for stream in ready:
            block = os.read(stream, 1 << 16)
            data[stream] += block[: 20_000_000 - len(data[stream])]
            if not block:
                opened.discard(stream)
    _, status, usage = os.wait4(pid, 0)
    for stream in streams:
        os.close(stream)
    out, err = (data[stream].decode("utf-8", "replace") for stream in streams)
    return Ended(
        words=tuple(words), code=os.waitstatus_to_exitcode(status), out=out, err=err,
        seconds=time.monotonic() - began, rss=usage.ru_maxrss * 1024, hung=hung,
        answered=answered,
    )  # fmt: skip


def takes_long(words: Sequence[str]) -> bool:
    """Tell whether a command line may ask for more than some seconds: to train, or to be timed."""
    return words[:1] in (["train"], ["time"]) or bool({"--train", "--prove", "--time"} & {*words})


def run(words: Sequence[str], folder: Path, *, home: Path) -> Ended:
    """Run one command line to its end."""
    limit = LONG_S if takes_long(words) else LIMIT_S
    return finish(start(words, folder, home=home), words, limit)


def snapshot(root: Path) -> dict[str, tuple[int, ...]]:
    """Return what lies below a folder; what Python keeps for the next call is left out."""
    found = {}
    for folder, folders, files in os.walk(root):
        if "__pycache__" in folder:
            continue
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                entry = os.lstat(path)
                is_file = stat.S_ISREG(entry.st_mode)
                times = (entry.st_size, entry.st_mtime_ns) if is_file else ()
                found[os.path.relpath(path, root)] = (entry.st_mode, *times)
    return found


def changes(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> list[str]:
    """Return which files two snapshots differ in."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def faults(ended: Ended, changed: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with an end; nothing where it is as it should be."""
    lines, both = ended.err.splitlines(), ended.out + ended.err
    wrong = {
        "it takes too long": ended.hung,
        "it does not answer Ctrl-C": not ended.answered,
        "a traceback": "Traceback (most recent call last)" in both,
        "an exit code of none of ours": not ended.hung and ended.code not in CODES,
        "it failed in silence": ended.code > 0 and not ended.err.strip() and not ended.out.strip(),
        "more than six lines": ended.code in (2, 3) and len(lines) > _LINES,
        "output beside an error": ended.code == 2 and bool(ended.out),
        "a line above 2,000 characters": any(len(line) > _CHARACTERS for line in lines),
        "a terminal escape passed on": "\x1b[31m" in both,
        "more than 3 GB": ended.rss > MEMORY,
        "files changed beside an error": ended.code == 2 and bool(changed),
        "something was executed": any("pwned" in path for path in changed),
    }
    return [what for what, is_so in wrong.items() if is_so]


def kind_of(fault: str, ended: Ended) -> str:
    """Return a name under which equal faults are counted together."""
    lines = [line for line in ended.err.splitlines() if line.strip()]
    if fault == "a traceback":
        ours = [line for line in lines if "/modelcli/" in line and ", line " in line]
        where = re.sub(r'.*/(modelcli/[^"]*)", line (\d+).*', r"\1:\2", ours[-1]) if ours else "?"
        return f"{fault} at {where}: {lines[-1][:100] if lines else ''}"
    command = ended.words[0][:20] if ended.words else ""
    said = re.sub(r"[0-9]+", "N", lines[0][:60]) if lines else ""
    return f"{fault}: {command}, exit {ended.code}: {said}"

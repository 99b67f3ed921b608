"""The run directory: never half a file, never a lost checkpoint, never two runs at once."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from torch import nn

from modelcli.errors import RunFailedError, UsageError
from modelcli.files import read_limited
from modelcli.training.store.checkpoint import (
    MODEL,
    STATE,
    Checkpoint,
    checksum,
    load_checkpoint,
    previous_name,
    temporary_name,
    write_model,
)
from modelcli.training.store.metrics import METRICS, read_metrics
from modelcli.training.store.shard_folders import steps_in

CHANGES = "changes.jsonl"
JOB = ".job"  # what the launcher of several processes calls the run
_NO_SPACE_BYTES = 1 << 20


class RunDir:
    """A directory that one run owns until it is closed.

    Args:
        path: created if it is not there.
        resume: continue the run in it.

    Raises:
        UsageError: another process is using it; or there is a run that has taken a step and
            ``resume`` was not asked for, or no run and it was; or it cannot be written, or its
            name is not UTF-8.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path)
        if not _is_utf8(str(path)):
            raise UsageError(
                f"the name of the run directory '{path}' is not UTF-8, as its config.toml must be",
                "choose another --out",
            )
        if resume and not os.path.exists(self.path / "config.toml"):
            raise UsageError(
                f"there is no run to resume in '{self.path}'", "leave out --resume to start one"
            )
        self._made = [each for each in (self.path, *self.path.parents) if not os.path.lexists(each)]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _acquire(self.path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(
                f"cannot write the run directory '{self.path}': {reason}", "choose another --out"
            ) from None
        if not resume and has_begun(self.path):
            self.close()
            raise UsageError(
                f"'{self.path}' already holds a run",
                "continue it with --resume, or choose another --out",
            )
        self._fresh = not resume
        self._metrics: IO[str] | None = None

    def close(self) -> None:
        """Let go of the directory."""
        self._lock.release()

    def discard_unused(self) -> None:
        """Let go of a directory in which no step was taken, and leave nothing that was made."""
        unused = not has_begun(self.path)
        if unused and self._fresh:
            for name in ("config.toml", JOB, ".owner", ".lock"):
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
        self.close()
        for folder in self._made if unused else ():
            with contextlib.suppress(OSError):  # not empty: somebody else's
                folder.rmdir()

    def write_text(self, name: str, text: str) -> None:
        """Write a file as a whole: a reader sees the old one or the new one.

        Raises:
            RunFailedError: it cannot be written; the old file is as it was.
        """
        with self._telling(name):
            temporary = self._unlinked(temporary_name(name))
            with temporary.open("x", encoding="utf-8") as file:
                file.write(text)
                _flush(file)
            temporary.replace(self.path / name)

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add a line to ``metrics.jsonl`` and flush it."""
        with self._telling(METRICS):
            if self._metrics is None:
                self._metrics = _open_own(self.path / METRICS)
            self._metrics.write(json.dumps(record) + "\n")
            self._metrics.flush()

    def append_change(self, step: int, text: str) -> None:
        """Add to ``changes.jsonl`` what changed before a run was continued all the same."""
        with self._telling(CHANGES), _open_own(self.path / CHANGES) as file:
            file.write(json.dumps({"step": step, "changed": text}) + "\n")

    def cut_metrics(self, step: int) -> list[dict[str, Any]]:
        """Drop the lines of later steps than this, and return the others."""
        kept = [line for line in read_metrics(self.path) if line["step"] <= step]
        self.write_text(METRICS, "".join(json.dumps(line) + "\n" for line in kept))
        return kept

    def save(self, model: nn.Module, state: Mapping[str, Any], *, step: int) -> None:
        """Write a checkpoint.

        Raises:
            RunFailedError: it cannot be written, as on a full disk; the one before is as it was.
        """
        with self._telling(MODEL):
            new_model = self._unlinked(temporary_name(MODEL))
            new_state = self._unlinked(temporary_name(STATE))
            write_model(model, new_model, step=step)
        with self._telling(STATE):
            torch.save({**state, "step": step, "model_crc": checksum(new_model)}, new_state)
            new_model.chmod(new_state.stat().st_mode)  # safetensors lets nobody else read it
            for path in (new_model, new_state):
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            for name in (MODEL, STATE):
                if os.path.exists(self.path / name):
                    self._name(self.path / name, previous_name(name))
            new_model.replace(self.path / MODEL)
            new_state.replace(self.path / STATE)

    def replace_model(self, write: Callable[[Path], None]) -> None:
        """Write ``model.safetensors`` as a whole; the one before stays as the previous one."""
        with self._telling(MODEL):
            new = self._unlinked(temporary_name(MODEL))
            write(new)
            if os.path.exists(self.path / MODEL):
                self._name(self.path / MODEL, previous_name(MODEL))
            new.replace(self.path / MODEL)

    def _unlinked(self, name: str) -> Path:
        """Return where to write a new file: nothing is there, nor does a link lead elsewhere."""
        path = self.path / name
        path.unlink(missing_ok=True)
        return path

    def _name(self, file: Path, name: str) -> None:
        """Give a file one more name, in one step, whatever had that name."""
        link = self.path / f".{name}.link"
        link.unlink(missing_ok=True)
        os.link(file, link)
        link.replace(self.path / name)

    @contextlib.contextmanager
    def _telling(self, name: str) -> Any:
        try:
            yield
        except (OSError, RuntimeError, SafetensorError) as error:
            number = _os_error_number(error)
            if number is None and shutil.disk_usage(self.path).free < _NO_SPACE_BYTES:
                number = errno.ENOSPC  # which torch keeps to itself
            reason = os.strerror(number) if number else str(error).splitlines()[0]
            full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            hint = "free some space, then continue with --resume" if full else ""
            for leftover in self.path.glob(".*.tmp"):
                with contextlib.suppress(OSError):
                    leftover.unlink()
            raise RunFailedError(
                f"cannot write '{self.path / name}': {reason}",
                hint or "what was written before is as it was",
            ) from None

    def load(self, accept: Callable[[Checkpoint], None] = lambda _: None) -> Checkpoint | None:
        """Return the newest complete checkpoint under the present names, None if there is none yet.

        Args:
            accept: takes a checkpoint into use, and raises where it is damaged.

        Raises:
            CheckpointError: files are there, but no two that belong together can be read.
        """
        checkpoint = load_checkpoint(self.path, accept)
        if checkpoint is not None:
            for file, name in zip(checkpoint.files, (MODEL, STATE), strict=True):
                if file.name != name:
                    self._name(file, name)
                if file.name == temporary_name(name):
                    file.unlink()
        return checkpoint


def has_begun(path: Path) -> bool:
    """Tell whether a directory has a run of a step or more; what failed before blocks nobody."""
    files = (path / name for name in (METRICS, STATE, previous_name(STATE)))
    begun = any(os.path.exists(file) and file.stat().st_size for file in files)
    return begun or bool(steps_in(path))


def _os_error_number(error: Exception) -> int | None:
    """Return what the system said, which safetensors and torch write into their texts only."""
    number: int | None = getattr(error, "errno", None)
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if number is None and found else number


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a byte of the command line that Python could not decode
        return False
    return True


def _acquire(path: Path) -> FileLock:
    """Lock a directory for as long as the process lives, however it ends.

    Raises:
        UsageError: another process, or another :class:`RunDir` of this one, holds the lock.
    """
    lock = FileLock(path / ".lock", thread_local=False)
    owner = path / ".owner"  # a file of its own: taking the lock empties the lock's
    try:
        lock.acquire(timeout=0)
    except Timeout:
        held_by = _owner(owner)
        raise UsageError(
            f"run directory '{path}' is in use" + (f" by process {held_by}" if held_by else ""),
            "wait for it to end, or choose another --out",
        ) from None
    owner.unlink(missing_ok=True)
    with owner.open("x", encoding="utf-8") as file:
        file.write(str(os.getpid()))
    return lock


def _owner(path: Path) -> str:
    """Return the number of the process that a file names; empty where it names none."""
    try:
        text = read_limited(path, limit=100).decode().strip()
    except (OSError, ValueError, UsageError):
        return ""
    return text if text.isdecimal() else ""


def _open_own(path: Path) -> IO[str]:
    """Open a file of the run to add to it; a link in its place is not followed."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8")


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())

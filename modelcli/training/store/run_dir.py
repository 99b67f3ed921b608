"""The run directory: never half a file, never a lost checkpoint, never two runs at once.

A checkpoint is two files, ``model.safetensors`` and ``state.pt``, that name the same step. They
are written beside the old ones under temporary names; then the old ones become
``*.previous.*`` and the new ones take their place, one rename at a time. Killed between any two
renames, the directory still holds one complete pair, and that pair is found by its step. A run
that continues first gives that pair the present names, so that the next checkpoint replaces what
is damaged or half renamed, and not the pair.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from modelcli.errors import CheckpointError, RunFailedError, UsageError
from modelcli.identity import Key, storage_bytes, view_key
from modelcli.training.store.metrics import METRICS, read_metrics

FORMAT = 2  # of the files; a run of another format is not continued
MODEL = "model.safetensors"
STATE = "state.pt"
_NO_SPACE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One complete pair of files, read.

    Attributes:
        files: its model and its state.
        damaged: files that could not be read, with the reason; the pair is an older one then.
    """

    step: int
    files: tuple[Path, Path]
    tensors: dict[str, Tensor]
    state: dict[str, Any]
    damaged: tuple[str, ...] = ()


class RunDir:
    """A directory that one run owns until it is closed.

    Args:
        path: created if it is not there.
        resume: continue the run in it.

    Raises:
        UsageError: another process is using it; or there is a run that has taken a step and
            ``resume`` was not asked for, or no run and it was; or it cannot be written.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path)
        if resume and not (self.path / "config.toml").exists():
            raise UsageError(
                f"there is no run to resume in '{self.path}'", "leave out --resume to start one"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _acquire(self.path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(
                f"cannot write the run directory '{self.path}': {reason}", "choose another --out"
            ) from None
        if not resume and _has_begun(self.path):
            self.close()
            raise UsageError(
                f"'{self.path}' already holds a run",
                "continue it with --resume, or choose another --out",
            )
        self._metrics: IO[str] | None = None

    def close(self) -> None:
        """Let go of the directory."""
        self._lock.close()

    def write_text(self, name: str, text: str) -> None:
        """Write a file as a whole: a reader sees the old one or the new one.

        Raises:
            RunFailedError: it cannot be written; the old file is as it was.
        """
        with self._telling(name):
            temporary = self.path / f".{name}.tmp"
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                _flush(file)
            temporary.replace(self.path / name)

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add a line to ``metrics.jsonl`` and flush it."""
        with self._telling(METRICS):
            if self._metrics is None:
                self._metrics = (self.path / METRICS).open("a", encoding="utf-8")
            self._metrics.write(json.dumps(record) + "\n")
            self._metrics.flush()

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
        new_model, new_state = self.path / f".{MODEL}.tmp", self.path / f".{STATE}.tmp"
        with self._telling(MODEL):
            _write_model(model, new_model, step=step)
        with self._telling(STATE):
            torch.save({**state, "step": step, "model_crc": _crc(new_model)}, new_state)
            new_model.chmod(new_state.stat().st_mode)  # safetensors lets nobody else read it
            for path in (new_model, new_state):
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            for name in (MODEL, STATE):
                if (self.path / name).exists():
                    self._name(self.path / name, previous_name(name))
            new_model.replace(self.path / MODEL)
            new_state.replace(self.path / STATE)

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

    def load(self) -> Checkpoint | None:
        """Return the newest complete checkpoint under the present names, None if there is none yet.

        Raises:
            CheckpointError: files are there, but no two that belong together can be read.
        """
        checkpoint = load_checkpoint(self.path)
        if checkpoint is not None:
            for file, name in zip(checkpoint.files, (MODEL, STATE), strict=True):
                if file.name != name:
                    self._name(file, name)
        return checkpoint


def _has_begun(path: Path) -> bool:
    """Tell whether a directory has a run of a step or more; what failed before blocks nobody."""
    files = (path / name for name in (METRICS, STATE, previous_name(STATE)))
    return any(file.exists() and file.stat().st_size for file in files)


def _os_error_number(error: Exception) -> int | None:
    """Return what the system said, which safetensors and torch write into their texts only."""
    number: int | None = getattr(error, "errno", None)
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if number is None and found else number


def previous_name(name: str) -> str:
    """Return what the file before the present one is called: ``model.previous.safetensors``."""
    stem, _, suffix = name.partition(".")
    return f"{stem}.previous.{suffix}"


def _acquire(path: Path) -> IO[str]:
    """Lock a directory for as long as the process lives, however it ends."""
    file = (path / ".lock").open("a+", encoding="utf-8")
    try:
        import fcntl
    except ImportError:  # Windows has no flock
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip()
        file.close()
        raise UsageError(
            f"run directory '{path}' is in use" + (f" by process {owner}" if owner else ""),
            "wait for it to end, or choose another --out",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _write_model(model: nn.Module, path: Path, *, step: int) -> None:
    """Write every tensor once; a tied name is in the metadata, beside the name that has it."""
    kept: dict[str, Tensor] = {}
    metadata = {"format": "pt", "step": str(step)}
    seen: dict[Key, str] = {}
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            continue
        key = view_key(tensor)
        if tensor.numel() and key in seen:
            metadata[name] = seen[key]
            continue
        seen[key] = name
        # save_file refuses views of one storage and other layouts than rows
        whole = tensor.is_contiguous() and storage_bytes(tensor) == tensor.nbytes
        kept[name] = tensor if whole else tensor.contiguous().clone()
    save_file(kept, path, metadata=metadata)


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Return the newest pair of files that belong together.

    Raises:
        CheckpointError: files are there, but no such pair can be read.
    """
    damaged = [
        f"'{name}' is missing"
        for name in (MODEL, STATE)
        if not (path / name).exists() and (path / previous_name(name)).exists()
    ]
    states = [
        (path / name, _read_state(path / name, damaged)) for name in (STATE, previous_name(STATE))
    ]
    found = [(state_file, state) for state_file, state in states if state]
    for state_file, state in sorted(found, key=lambda pair: -int(pair[1]["step"])):
        for name in (MODEL, previous_name(MODEL)):
            file = path / name
            if file.exists() and _model_step(file, damaged) == state["step"]:
                tensors = _read_model(file, state, damaged)
                if tensors is not None:
                    return Checkpoint(
                        step=state["step"],
                        files=(file, state_file),
                        tensors=tensors,
                        state=state,
                        damaged=tuple(dict.fromkeys(damaged)),
                    )
    exist = [name for name in (MODEL, STATE) if (path / name).exists()]
    if not exist and not damaged:
        return None
    told = "; ".join(dict.fromkeys(damaged)) or f"{' and '.join(exist)} do not belong together"
    raise CheckpointError(
        f"no checkpoint in '{path}' can be read: {told}",
        "start again in another --out; metrics.jsonl has what was measured",
    )


def _read_state(path: Path, damaged: list[str]) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"checksum of {broken} is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises almost anything
        damaged.append(f"'{path.name}' is damaged ({str(error).splitlines()[0][:80]})")
        return None
    return state if isinstance(state, dict) and isinstance(state.get("step"), int) else None


def _model_step(path: Path, damaged: list[str]) -> int:
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, 100_000_000)))
        return int(header["__metadata__"]["step"])
    except (OSError, ValueError, KeyError, TypeError):
        damaged.append(f"'{path.name}' is damaged (its header cannot be read)")
        return -1


def _read_model(
    path: Path, state: Mapping[str, Any], damaged: list[str]
) -> dict[str, Tensor] | None:
    try:
        if _crc(path) != state["model_crc"]:
            raise ValueError("its checksum is wrong")
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
    except (OSError, ValueError, SafetensorError) as error:
        damaged.append(f"'{path.name}' is damaged ({str(error)[:80]})")
        return None
    for name, kept in metadata.items():
        if name not in ("format", "step"):
            tensors[name] = tensors[kept]
    return tensors

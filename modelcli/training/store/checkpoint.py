"""A checkpoint: two files of one step, written and found again.

A checkpoint is two files, ``model.safetensors`` and ``state.pt``, that name the same step. They
are written beside the old ones under temporary names; then the old ones become
``*.previous.*`` and the new ones take their place, one rename at a time. Killed between any two
renames, the directory still holds one complete pair, and that pair is found by its step. A run
that continues first gives that pair the present names, so that the next checkpoint replaces what
is damaged or half renamed, and not the pair.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from modelcli.errors import CheckpointError
from modelcli.identity import Key, storage_bytes, view_key

FORMAT = 2  # of the files; a run of another format is not continued
MODEL = "model.safetensors"
STATE = "state.pt"


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


def previous_name(name: str) -> str:
    """Return what the file before the present one is called: ``model.previous.safetensors``."""
    stem, _, suffix = name.partition(".")
    return f"{stem}.previous.{suffix}"


def write_model(model: nn.Module, path: Path, *, step: int) -> None:
    """Write every tensor once; a tied name is in the metadata, beside the name that has it."""
    kept: dict[str, Tensor] = {}
    metadata = {"format": "pt", "step": str(step)}
    seen: dict[Key, str] = {}
    for name, tensor in nn.Module.state_dict(model).items():
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


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file."""
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
    """Return the step that a model's file names in its header, -1 where it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return int(file.metadata()["step"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        damaged.append(f"'{path.name}' is damaged ({str(error)[:80]})")
        return -1


def _read_model(
    path: Path, state: Mapping[str, Any], damaged: list[str]
) -> dict[str, Tensor] | None:
    try:
        if checksum(path) != state["model_crc"]:
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

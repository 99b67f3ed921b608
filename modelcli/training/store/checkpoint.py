"""A checkpoint: two files of one step, written and found again.

A checkpoint is two files, ``model.safetensors`` and ``state.pt``, that name the same step. They
are written beside the old ones under temporary names; then the old ones become
``*.previous.*`` and the new ones take their place, one rename at a time. Killed between any two
renames, the directory still holds one complete pair, and that pair is found by its step. A run
that continues first gives that pair the present names, so that the next checkpoint replaces what
is damaged or half renamed, and not the pair.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from modelcli.errors import CheckpointError, ModelcliError, describe
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


def temporary_name(name: str) -> str:
    """Return what a file is called until it is complete: ``.model.safetensors.tmp``."""
    return f".{name}.tmp"


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
    _order_header(path)


def _order_header(path: Path) -> None:
    """Write the metadata in the order of its keys: safetensors has it in another one every time."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def newest_step(path: Path) -> int:
    """Return the step of the newest state of a run that can be read; -1: there is none."""
    states = (_read_state(path / name, []) for name in (STATE, previous_name(STATE)))
    return max((state["step"] for state in states if state), default=-1)


def load_checkpoint(
    path: Path, accept: Callable[[Checkpoint], None] = lambda _: None
) -> Checkpoint | None:
    """Return the newest pair of files that belong together; None if none was ever complete.

    What was written completely and not renamed yet, because the run was killed, is a pair as well.

    Args:
        path: the run directory.
        accept: takes what a pair holds into use; whatever it raises but a `ModelcliError`, the
            pair is damaged, and the one before is tried.

    Raises:
        CheckpointError: files are there, but no such pair can be read.
    """
    damaged = [
        f"'{name}' is missing"
        for name in (MODEL, STATE)
        if not os.path.exists(path / name) and os.path.exists(path / previous_name(name))
    ]
    for pair in _pairs(path, damaged):
        try:
            accept(pair)
        except ModelcliError:
            raise
        except Exception as error:  # what was tampered with can fail in any way
            damaged.append(f"'{pair.files[1].name}' is damaged ({describe(error)[:80]})")
            continue
        return replace(pair, damaged=tuple(dict.fromkeys(damaged)))
    exist = [name for name in (MODEL, STATE) if os.path.exists(path / name)]
    first = exist == [MODEL] and not os.path.exists(path / previous_name(MODEL))
    if not damaged and (first or not exist):
        return None  # a first model without its state was being written when the run was killed
    told = "; ".join(dict.fromkeys(damaged)) or f"{' and '.join(exist)} do not belong together"
    raise CheckpointError(
        f"no checkpoint in '{path}' can be read: {told}",
        "start again in another --out; metrics.jsonl has what was measured",
    )


def _pairs(path: Path, damaged: list[str]) -> Iterator[Checkpoint]:
    """Yield the pairs that can be read, the newest first."""
    found = []
    for name in (MODEL, STATE, previous_name(MODEL), previous_name(STATE)):
        if os.path.exists(path / name) and not os.path.isfile(path / name):
            damaged.append(f"'{name}' is no regular file")  # a pipe would keep us waiting
    for name in (STATE, previous_name(STATE), temporary_name(STATE)):
        told = damaged if name != temporary_name(STATE) else []  # half of it may be there
        state = _read_state(path / name, told)
        if state:
            found.append((path / name, state))
    for state_file, state in sorted(found, key=lambda pair: -int(pair[1]["step"])):
        for name in (MODEL, previous_name(MODEL), temporary_name(MODEL)):
            told = damaged if name != temporary_name(MODEL) else []
            file = path / name
            if os.path.isfile(file) and _model_step(file, told) == state["step"]:
                tensors = _read_model(file, state, told)
                if tensors is not None:
                    yield Checkpoint(
                        step=state["step"], files=(file, state_file), tensors=tensors, state=state
                    )


def _read_state(path: Path, damaged: list[str]) -> dict[str, Any] | None:
    if not os.path.isfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"checksum of {broken} is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises almost anything
        damaged.append(f"'{path.name}' is damaged ({describe(error)[:80]})")
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
        if checksum(path) != state.get("model_crc"):
            raise ValueError("its checksum is wrong")
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        for name, kept in metadata.items():
            if name not in ("format", "step"):
                tensors[name] = tensors[kept]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        damaged.append(f"'{path.name}' is damaged ({str(error)[:80]})")
        return None
    return tensors

"""One entry for every kind of checkpoint: a file, an index of shards, or a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from modelcli.checkpoints.detect import looks_like_index, sniff
from modelcli.checkpoints.folder import choose_in_folder
from modelcli.checkpoints.index import check_held, read_index
from modelcli.checkpoints.records import Checkpoint, FileFormat, KeyChoice, TensorRecord, brief
from modelcli.errors import CheckpointError


@dataclass(slots=True)
class _Parts:
    """What has been gathered so far, over one shard or many."""

    tensors: list[TensorRecord] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    formats: list[FileFormat] = field(default_factory=list)
    key: str = ""
    choices: tuple[KeyChoice, ...] = ()
    others: int = 0
    notes: list[str] = field(default_factory=list)


def read_checkpoint(path: str | Path, *, key: str | None = None) -> Checkpoint:
    """Read the headers of a checkpoint; no tensor data is touched, and nothing in it is run.

    Args:
        path: a file of one of the formats, ``*.index.json``, or a folder.
        key: which dictionary inside a file that has several; by default where weights usually are.

    Raises:
        CheckpointError: the file is missing, of another kind, damaged or unsafe; shards are
            missing or disagree with their index; a folder holds none or several.
    """
    path = Path(path)
    parts = _Parts()
    chosen = _files_of(path)
    if len(chosen) == 1 and looks_like_index(chosen[0]):
        files = _read_sharded(chosen[0], key, parts)
    else:
        files = chosen
        for file in chosen:
            _read_file(file, key, parts)
        _refuse_twice(path, parts.tensors)
    if not parts.tensors:
        raise CheckpointError(f"'{path}' holds no tensor", "nothing was saved in it")
    return _finish(path, files, parts)


def check_kind(path: str | Path) -> None:
    """Check that there is a checkpoint, by the first bytes of its files: torch is not needed.

    Raises:
        CheckpointError: the file is missing, empty or of another kind; a folder holds none or
            several.
    """
    for file in _files_of(Path(path)):
        if not looks_like_index(file):
            sniff(file)


def _files_of(path: Path) -> tuple[Path, ...]:
    return tuple(choose_in_folder(path)) if os.path.isdir(path) else (path,)


def _finish(path: Path, files: tuple[Path, ...], parts: _Parts) -> Checkpoint:
    names = {tensor.name for tensor in parts.tensors}
    return Checkpoint(
        path=path,
        format=parts.formats[0].name,
        files=files,
        file_bytes=sum(file.stat().st_size for file in files),
        tensors=tuple(parts.tensors),
        metadata=parts.metadata,
        key=parts.key,
        choices=parts.choices,
        not_stored=_not_stored(parts.metadata, names),
        other_entries=parts.others,
        notes=tuple(parts.notes),
        in_order=parts.formats[0].in_order,
    )


def _read_file(path: Path, key: str | None, parts: _Parts) -> None:
    found = sniff(path)
    contents = found.read(path, key)
    parts.formats.append(found)
    parts.tensors.extend(contents.tensors)
    parts.metadata.update(contents.metadata)
    parts.key, parts.choices = contents.key, contents.choices
    parts.others += contents.other_entries


def _read_sharded(index: Path, key: str | None, parts: _Parts) -> tuple[Path, ...]:
    """Read every shard and keep, in the index's order, what the index promises."""
    shards = read_index(index)
    surplus = 0
    for shard, promised in shards.items():
        before = len(parts.tensors)
        _read_file(shard, key, parts)
        held = {tensor.name: tensor for tensor in parts.tensors[before:]}
        check_held(index, shard, promised, set(held))
        surplus += len(held) - len(promised)
        parts.tensors[before:] = [held[name] for name in promised]
    if surplus:
        parts.notes.append(
            f"{surplus:,} tensors in the shards are not named by '{index.name}' and are left out"
        )
    return tuple(shards)


def _refuse_twice(path: Path, tensors: list[TensorRecord]) -> None:
    """Shards without an index must not name the same tensor; which one would count?"""
    seen: dict[str, TensorRecord] = {}
    for tensor in tensors:
        other = seen.setdefault(tensor.name, tensor)
        if other is not tensor and other.file != tensor.file:
            raise CheckpointError(
                f"tensor {brief(tensor.name)} is in both '{other.file.name}' and "
                f"'{tensor.file.name}'",
                "these are not shards of one checkpoint: name one file",
            )


def _not_stored(metadata: dict[str, str], names: set[str]) -> dict[str, str]:
    """``safetensors.torch.save_model`` notes each tied name that it leaves out, and its twin."""
    return {name: kept for name, kept in metadata.items() if kept in names and name not in names}

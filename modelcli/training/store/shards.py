"""Checkpoints of several processes: a folder a step, in which each process wrote its part.

``checkpoints/step-N`` is written by torch's distributed checkpoints (DCP), which read it again on
any number of processes, cut in any way. It gets its name when all have written: what is called
``step-N.tmp`` is none. DCP has no checksum, so ``run.pt`` holds the size and CRC of every file.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from modelcli.errors import describe
from modelcli.training.distributed.world import World
from modelcli.training.store.checkpoint import checksum
from modelcli.training.store.shard_folders import FOLDER, RUN, folder_of, steps_in

_METADATA = ".metadata"
_KEPT = 2  # folders; the last but one is there should the last turn out to be damaged


class DamagedError(Exception):
    """A checkpoint cannot be read; the message says what is wrong with it."""


def write_shards(
    run: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any],
    own: Mapping[str, Any], world: World,
) -> None:  # fmt: skip
    """Write a checkpoint; all processes at once.

    Args:
        run: the run directory.
        tensors: by key, of which this process may hold a part.
        state: what the first process says of the run; plain values and tensors.
        own: what is this process's alone, such as its random state.

    Raises:
        OSError, RuntimeError, ValueError: something could not be written here; no other checkpoint
            has changed.
    """
    final = folder_of(run, step)
    temporary = final.with_name(f"{final.name}.tmp")
    with world.together():
        if world.is_first:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
    with _quiet():
        save(
            dict(tensors),
            storage_writer=FileSystemWriter(str(temporary)),
            no_dist=not torch.distributed.is_initialized(),
        )
    torch.save(dict(own), temporary / f"rank-{world.rank}.pt")
    mine = [f"rank-{world.rank}.pt", *(each.name for each in temporary.glob(f"__{world.rank}_*"))]
    mine += [_METADATA] if world.is_first else []
    files: dict[str, list[int]] = {}
    for part in world.gather({name: _measure(temporary / name) for name in mine}):
        files.update(part)
    if world.is_first:
        record = {**state, "step": step, "world": world.size, "files": files}
        torch.save(record, temporary / RUN)
        _sync(temporary / RUN)
        shutil.rmtree(final, ignore_errors=True)  # of the same step, which turned out damaged
        temporary.rename(final)
        _sync(final.parent)
        for old in steps_in(run)[_KEPT:]:
            shutil.rmtree(folder_of(run, old), ignore_errors=True)
    world.gather(None)  # nobody goes on before it has its name


def read_state(folder: Path, world: World) -> dict[str, Any]:
    """Return what the first process said of a run, once all files are known to be whole.

    Raises:
        DamagedError: one is not; all processes raise it.
    """
    state: dict[str, Any] = {}
    damage = ""
    try:
        state = _load(folder / RUN)
        names = sorted(state["files"])
        for name in names[world.rank :: world.size]:  # each file is read by one process
            size, crc = state["files"][name]
            path = folder / Path(name).name
            if not os.path.isfile(path):
                raise ValueError(f"'{name}' is missing")
            if [path.stat().st_size, checksum(path)] != [size, crc]:
                raise ValueError(f"the checksum of '{name}' is wrong")
    except Exception as error:  # a damaged file raises almost anything
        damage = str(error) if isinstance(error, ValueError) else describe(error)[:80]
    first = next(filter(None, world.gather(damage)), "")
    if first:
        raise DamagedError(f"'{FOLDER}/{folder.name}' is damaged: {first}")
    return state


def read_own(folder: Path, rank: int) -> dict[str, Any]:
    """Return what was a process's alone."""
    return _load(folder / f"rank-{rank}.pt")


def read_keys(folder: Path) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Return the shapes and element types of the tensors of a checkpoint, by key."""
    found = _Reader(str(folder)).read_metadata().state_dict_metadata
    return {
        key: (tuple(each.size), each.properties.dtype)
        for key, each in found.items()
        if isinstance(each, TensorStorageMetadata)
    }


def read_tensors(folder: Path, into: Mapping[str, Tensor]) -> None:
    """Read tensors into those that are given, cut as those are.

    Raises:
        Exception: of any kind, a file is not what it should be.
    """
    with _quiet():
        load(
            dict(into),
            storage_reader=_Reader(str(folder)),
            no_dist=not torch.distributed.is_initialized(),
        )


class _Reader(FileSystemReader):
    """Reads the index of a checkpoint, which is a pickle, without running what it may hold."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Return the index.

        Raises:
            pickle.UnpicklingError: it names what no index of DCP has.
        """
        with (Path(self.path) / _METADATA).open("rb") as file:
            metadata = _Inert(file).load()
        if getattr(metadata, "storage_meta", None) is None:
            metadata.storage_meta = StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        found: Metadata = metadata
        return found


class _Inert(pickle.Unpickler):
    """Takes the classes of an index, and no other."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that an index of DCP may name."""
        known = module.startswith("torch.distributed.checkpoint.") or module == "torch"
        if known or (module, name) in _INERT:
            found = super().find_class(module, name)
            if isinstance(found, (type, torch.dtype)) or (module, name) in _INERT:
                return found
        raise pickle.UnpicklingError(f"the index names {module}.{name}")


_INERT = {
    ("torch.serialization", "_get_layout"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib._local", "PosixPath"),
    ("collections", "OrderedDict"),
}


def _load(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise ValueError(f"the checksum of '{path.name}' is wrong")
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, dict):
        raise ValueError(f"'{path.name}' is no table")
    return loaded


def _measure(path: Path) -> list[int]:
    return [path.stat().st_size, checksum(path)]


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep DCP's remarks on how it is called off the screen; let its error be an exception.

    Raises:
        RuntimeError: what was ``CheckpointException``, which ``except Exception`` passes by.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except CheckpointException as error:
            causes = [str(each[0]) for each in error.failures.values()]
            raise RuntimeError(causes[0] if causes else str(error)) from error

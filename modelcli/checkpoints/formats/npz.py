"""Archives of ``numpy.savez``: the header of every array, read alone; nothing is unpickled.

Format: a zip archive of ``.npy`` files, see
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from modelcli.checkpoints.dtypes import DTYPES
from modelcli.checkpoints.formats.torch_archive import AGAIN, begin_of
from modelcli.checkpoints.records import Contents, FileFormat, TensorRecord, brief
from modelcli.errors import CheckpointError
from modelcli.files import damage_of_archives

if TYPE_CHECKING:
    import torch


def _is_npz(head: bytes) -> bool:
    """A zip archive whose first member is an array."""
    length = int.from_bytes(head[26:28], "little")
    return head.startswith(b"PK\x03\x04") and head[30 : 30 + length].endswith(b".npy")


def _read(path: Path, key: str | None) -> Contents:
    """Return the arrays of numbers; those of texts or objects are counted as other entries.

    Raises:
        CheckpointError: ``--key`` was given; the archive, or an array's header, is damaged.
    """
    if key:
        raise CheckpointError(
            f"--key {key}: a NumPy archive has no nested dictionaries ('{path}')",
            "leave --key out; --match filters names",
        )
    tensors, others = [], 0
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            for member in archive.infolist():
                record = _record(path, archive, member, file)
                others += record is None
                tensors += [record] if record is not None else []
    except damage_of_archives() as error:
        raise _damaged(path, error) from None
    return Contents(tensors=tuple(tensors), other_entries=others)


def _damaged(path: Path, error: BaseException) -> CheckpointError:
    what = brief(str(error) or type(error).__name__, 120)[1:-1]
    return CheckpointError(f"'{path}' is damaged, or was locked with a password: {what}", AGAIN)


def _record(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: IO[bytes]
) -> TensorRecord | None:
    """Return what the header of one array says; None where it is not one of numbers."""
    from numpy.lib import format as npy

    if not member.filename.endswith(".npy"):
        return None
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read(stream)
        header = stream.tell()
    info = DTYPES.get(dtype.name)
    if info is None or dtype.hasobject:
        return None
    numel = 1
    for size in shape:
        numel *= size
    if header + numel * dtype.itemsize != member.file_size:
        raise ValueError(
            f"the array {brief(member.filename)} has another size than its header says"
        )
    native = dtype.isnative and member.compress_type == zipfile.ZIP_STORED
    return TensorRecord(
        name=member.filename.removesuffix(".npy"),
        shape=tuple(shape),
        dtype=info.name,
        numel=numel,
        stored=numel,
        bytes=numel * dtype.itemsize,
        file=path,
        offset=begin_of(member, file) + header if native else None,
        stride=_by_columns(shape) if by_columns and len(shape) > 1 else None,
    )


def _by_columns(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in shape:
        strides.append(step)
        step *= size
    return tuple(strides)


def _load(path: Path, key: str) -> dict[str, torch.Tensor]:
    """Return the arrays of numbers as tensors on the CPU, by the names of `_read`."""
    import numpy as np
    import torch

    wanted = {record.name for record in _read(path, key or None).tensors}
    found: dict[str, torch.Tensor] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name in wanted:
                array: Any = arrays[name]
                found[name] = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    except damage_of_archives() as error:
        raise _damaged(path, error) from None
    return found


NPZ = FileFormat(name="npz (NumPy)", is_one=_is_npz, read=_read, load=_load)

"""The zip archive around a file of ``torch.save``: where its records lie, what else it may be."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from modelcli.errors import CheckpointError
from modelcli.files import damage_of_archives

PROGRAMS = {"script": "TorchScript", "export": "torch.export"}  # by the word before the colon
AGAIN = "the file is damaged or incomplete: download or save it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What the directory of an archive says.

    Attributes:
        extents: offset -> size of every record of elements.
        big_endian: whether a machine of the other byte order wrote it.
    """

    extents: dict[int, int]
    big_endian: bool


def read_archive(path: Path) -> Archive:
    """Return what the directory of an archive says, having looked that it is one of torch.save.

    Raises:
        CheckpointError: in this order: it is truncated or damaged; it holds a program, or is
            another kind of zip archive; its records are of the other byte order, and compressed.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            members = archive.infolist()
            _refuse_programs(path, {member.filename.partition("/")[2] for member in members})
            big = any(_says_big(archive, member) for member in members)
            extents = dict(_extents(members, file))
    except damage_of_archives() as error:
        words = str(error) or "a record ends too early"  # EOFError has none
        what = "no central directory at its end" if "not a zip" in words else words
        raise CheckpointError(
            f"'{path}' is truncated or damaged: a zip archive, but {what}", AGAIN
        ) from None
    if big:
        _refuse_bomb(path, members)
    return Archive(extents=extents, big_endian=big)


def _says_big(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Tell whether a record says ``big``; any of that name counts, whichever torch would take."""
    if member.filename.rpartition("/")[2] != "byteorder" or member.file_size > 64:
        return False
    return b"big" in archive.read(member)


def _refuse_bomb(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Elements of the other byte order are turned in memory: there must not be more than a file."""
    size = path.stat().st_size
    if sum(member.file_size for member in members) > size:
        raise CheckpointError(
            f"'{path}' was written by a big-endian machine, and its records are compressed or "
            "overlap: this is not read here",
            "save it again with torch.save",
        )


def program_in(path: Path) -> Literal["script", "export"] | None:
    """Return what kind of program a file holds: of TorchScript, or of torch.export; None: none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _program({name.partition("/")[2] for name in archive.namelist()})
    except damage_of_archives():
        return None


def _program(names: set[str]) -> Literal["script", "export"] | None:
    if "constants.pkl" in names:
        return "script"
    if "archive_format" in names or any(name.startswith("models/") for name in names):
        return "export"
    return None


def _refuse_programs(path: Path, names: set[str]) -> None:
    kind = _program(names)
    if kind == "script":
        raise CheckpointError(
            f"'{path}' is a TorchScript archive: it holds a program, not only tensors",
            "save the weights alone: torch.save(torch.jit.load(FILE).state_dict(), 'weights.pt')",
        )
    if kind == "export":
        raise CheckpointError(
            f"'{path}' is an archive of torch.export: it holds a program, not only tensors",
            "save the weights alone: torch.save(torch.export.load(FILE).state_dict, 'weights.pt')",
        )
    if "data.pkl" not in names:
        raise CheckpointError(
            f"'{path}' is a zip archive, but not one of torch.save (it has no data.pkl)",
            "unpack it and name the checkpoint inside",
        )


def _extents(members: list[zipfile.ZipInfo], file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Yield where each record's bytes begin, and how many they are."""
    for member in members:
        if "/data/" in member.filename and member.compress_type == zipfile.ZIP_STORED:
            yield begin_of(member, file), member.file_size


def begin_of(member: zipfile.ZipInfo, file: IO[bytes]) -> int:
    """Return where a member's bytes begin: behind its local header, whose length varies."""
    file.seek(member.header_offset + 26)
    lengths = file.read(4)  # of the name and of the extra field, 2 bytes each
    both = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    return member.header_offset + 30 + both

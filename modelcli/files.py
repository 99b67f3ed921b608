"""Files that a user names: regular ones only, only so much of them, and written whole.

A pipe, a device or a socket would keep us waiting, or never end; a link that leads nowhere looks
like a file in a listing. Whoever opens a file by its name asks here first. Imports no torch.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from modelcli.errors import ModelcliError, UsageError

TEXT_BYTES = 16_000_000
"""The most that a configuration or a source file may have; real ones have a thousandth of it."""

_SPECIAL = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def damage_of_archives() -> tuple[type[Exception], ...]:
    """Return what zipfile and NumPy raise for an archive that is damaged, locked, or lies."""
    import lzma
    import struct
    import tokenize
    import zipfile
    import zlib

    return (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, ValueError, EOFError,
        RuntimeError, MemoryError, SyntaxError, tokenize.TokenError, OverflowError,
    )  # fmt: skip


def special_kind(path: str | Path) -> str:
    """Return ``"a pipe"``, ``"a socket"`` or ``"a device"``; empty for files and folders."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ""
    return next((name for is_one, name in _SPECIAL if is_one(mode)), "")


def dead_link(path: str | Path) -> str:
    """Return where a link leads if nothing is there; empty for everything else."""
    try:
        return os.readlink(path) if os.path.islink(path) and not os.path.exists(path) else ""
    except (OSError, ValueError):
        return ""


def check_regular(
    path: str | Path, kind: type[ModelcliError] = UsageError, *, to_write: bool = False
) -> None:
    """Refuse what is no regular file, before it is opened; a folder or nothing at all passes.

    Args:
        path: what is about to be opened.
        kind: of the error.
        to_write: it is to be written, not read.

    Raises:
        ModelcliError: of ``kind``; it is a pipe, a socket, a device, or a link that leads nowhere.
    """
    special = special_kind(path)
    if special:
        raise kind(
            f"'{path}' is {special}, not a regular file",
            "name a new file" if to_write else "write what it gives into a file, and name that",
        )
    leads_to = dead_link(path)
    if leads_to:
        raise kind(f"'{path}' is a link to '{leads_to}', which is not there", _of_link(leads_to))


def _of_link(leads_to: str) -> str:
    if "blobs" in Path(leads_to).parts:
        return "the download into this cache of Hugging Face is not complete: download it again"
    return "put the file back to where the link leads, or name the file itself"


def check_size(
    path: str | Path, kind: type[ModelcliError] = UsageError, *, limit: int = TEXT_BYTES
) -> None:
    """Refuse a file that is too large for what it should be; nothing there at all passes.

    Raises:
        ModelcliError: of ``kind``.
    """
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError):
        return
    if size > limit:
        raise kind(f"'{path}' is above {limit / 1e6:,.0f} MB", "is it the right file?")


def read_limited(
    path: str | Path, kind: type[ModelcliError] = UsageError, *, limit: int = TEXT_BYTES
) -> bytes:
    """Return the bytes of a regular file that has no more than ``limit`` of them.

    Raises:
        ModelcliError: of ``kind``; it is no regular file, or larger.
        OSError: it cannot be read.
    """
    check_regular(path, kind)
    with Path(path).open("rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise kind(f"'{path}' is above {limit / 1e6:,.0f} MB", "is it the right file?")
    return raw


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a text says.

    Raises:
        TOMLDecodeError: it is not TOML, is nested too deeply, or has a number of too many digits.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("it is nested too deeply") from None
    except ValueError:  # Python's own limit, of 4300 digits
        raise tomllib.TOMLDecodeError("a number has too many digits") from None


def parse_json(text: str | bytes) -> Any:
    """Return what a text says.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has a number of too many digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


IS_FOLDER = "is a directory"


def why_not_writable(path: Path) -> str:
    """Return why no file of this name can be written, as the system says it; empty if it may be.

    Asked before anything is computed: a name that is too long is known then, a full disk is not.
    """
    if os.path.isdir(path):
        return IS_FOLDER
    try:
        os.lstat(path)
    except FileNotFoundError:
        return "" if os.path.isdir(path.parent) else "no such file or directory"
    except (OSError, ValueError) as error:
        return (getattr(error, "strerror", "") or str(error)).lower()
    return ""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it: a reader sees the old one or the new one.

    Raises:
        OSError: it cannot be written; nothing is left, and an old file is as it was.
    """
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        with beside.open("xb") as file:
            file.write(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)

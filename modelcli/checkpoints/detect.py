"""What a file really is, told from its first bytes and not from its name."""

from __future__ import annotations

import os
from pathlib import Path

from modelcli.checkpoints.formats import INDEX_SUFFIX, file_formats, file_suffixes
from modelcli.checkpoints.records import FileFormat
from modelcli.errors import CheckpointError

_LFS = b"version https://git-lfs"

# First bytes of files that are often given the wrong name.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF", "an HDF5 file (Keras)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
)


def sniff(path: Path) -> FileFormat:
    """Return the format of one file from its first bytes.

    Raises:
        CheckpointError: in this order: it cannot be opened, is a folder, is empty, is a git-LFS
            pointer, a web page, a JSON or other text, another known format, or unknown.
    """
    head, size = _head(path)
    if not head:
        raise CheckpointError(f"'{path}' is empty (0 bytes)", "download or save it again")
    found = next((each for each in file_formats() if each.is_one(head)), None)
    other = next((what for magic, what in _OTHERS if head.startswith(magic)), None)
    if found is None and other is None:
        found = _by_suffix(path)
    _refuse_text(path, head, known=found is not None)
    if found is not None:
        return found
    if other is not None:
        raise CheckpointError(
            f"'{path}' is {other}, not a checkpoint of PyTorch or safetensors",
            f"readable are {', '.join(file_suffixes())} and *{INDEX_SUFFIX}",
        )
    raise CheckpointError(
        f"'{path}' is not a checkpoint: it begins with {head[:8]!r} and has {size:,} bytes",
        "expected safetensors (8 bytes of header length, then '{') or a file of torch.save",
    )


def _head(path: Path) -> tuple[bytes, int]:
    """Return the first 512 bytes and the size, or raise what the user can fix."""
    try:
        # Asked before opening: a pipe would keep us waiting.
        if not (path.is_file() or path.is_dir()) and path.exists():
            raise CheckpointError(f"'{path}' is not a regular file", "name a checkpoint file")
        with path.open("rb") as file:
            return file.read(512), os.fstat(file.fileno()).st_size
    except IsADirectoryError:
        raise CheckpointError(f"'{path}' is a folder, not a file", "name a file in it") from None
    except FileNotFoundError:
        raise CheckpointError(f"no file '{path}'", _neighbours(path)) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(f"cannot read '{path}': {reason}", "check its permissions") from None


def _neighbours(path: Path) -> str:
    """Name the checkpoints that lie where the missing one was looked for."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder '{folder}' either"
    found = sorted(
        p.name for p in folder.iterdir() if p.name.endswith((*file_suffixes(), INDEX_SUFFIX))
    )
    if not found:
        return f"'{folder}' holds no checkpoint"
    return f"'{folder}' holds {', '.join(found[:5])}" + (", ..." if len(found) > 5 else "")


def _refuse_text(path: Path, head: bytes, *, known: bool) -> None:
    """Raise on the texts that people save under a checkpoint's name."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_LFS):
        size = _lfs_size(head)
        raise CheckpointError(
            f"'{path}' is a git-LFS pointer, not the checkpoint itself"
            + (f" (which has {size:,} bytes)" if size else ""),
            "fetch the data: git lfs install && git lfs pull",
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        raise CheckpointError(
            f"'{path}' is a web page, not a checkpoint: the download saved an HTML page",
            "open the address in a browser; it may need a login or a 'resolve' or 'raw' link",
        )
    if text.startswith((b"{", b"[")) and not known:
        raise CheckpointError(
            f"'{path}' is a JSON text, not a checkpoint",
            f"an index of shards must be named *{INDEX_SUFFIX}; an error message of a download "
            "site must be fetched again",
        )


def _lfs_size(head: bytes) -> int | None:
    for line in head.splitlines():
        key, _, value = line.partition(b" ")
        if key == b"size" and value.isdigit() and len(value) < 20:
            return int(value)
    return None


def _by_suffix(path: Path) -> FileFormat | None:
    """Take a file at its name's word, where the format's reader can say what is damaged."""
    return next((each for each in file_formats(path.name) if each.by_suffix), None)

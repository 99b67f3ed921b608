"""What a file really is, told from its first bytes and not from its name."""

from __future__ import annotations

import os
from pathlib import Path

from modelcli.checkpoints.formats import INDEX_SUFFIX, file_formats, file_suffixes
from modelcli.checkpoints.records import FileFormat, brief
from modelcli.errors import CheckpointError
from modelcli.files import check_regular

_LFS = b"version https://git-lfs"

# Where in a file which bytes say what it is: other formats of weights, archives, and the rest.
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GGUF", "a GGUF file"),
    (0, b"lmgg", "a GGML file (llama.cpp before GGUF)"),
    (0, b"tjgg", "a GGML file (llama.cpp before GGUF)"),
    (0, b"\x89HDF", "an HDF5 file (Keras)"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"MATLAB 5.0", "a MATLAB file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"(dp", "a pickle of protocol 0, which torch.save does not write"),
    (0, b"(lp", "a pickle of protocol 0, which torch.save does not write"),
    (0, b"ccollections\n", "a pickle of protocol 0, which torch.save does not write"),
    (0, b"cnumpy", "a pickle of protocol 0, which torch.save does not write"),
    (0, b"ccopy_reg\n", "a pickle of protocol 0, which torch.save does not write"),
    (0, b"}q\x00", "a pickle of protocol 1, which torch.save does not write"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"RIFF", "a RIFF file (sound or video)"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"ARROW1", "an Arrow table"),
    (0, b"SQLite format 3", "an SQLite database"),
    (0, b"\x7fELF", "a program or library"),
    (0, b"MZ", "a program or library"),
)
_FIX_OTHER = {
    "a tar archive": "unpack it (tar xf) and name the file inside",
    "a gzip archive": "unpack it (gunzip, or tar xzf) and name the file inside",
}


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
    other = next((what for at, magic, what in _OTHERS if head.startswith(magic, at)), None)
    if found is None and other is None:
        found = _by_suffix(path)
    _refuse_text(path, head, known=found is not None or other is not None)
    if found is not None:
        return found
    if other is not None:
        raise CheckpointError(
            f"'{path}' is {other}, not a checkpoint of PyTorch or safetensors",
            _FIX_OTHER.get(other, f"readable are {', '.join(file_suffixes())} and *{INDEX_SUFFIX}"),
        )
    raise CheckpointError(
        f"'{path}' is not a checkpoint: it begins with {head[:8]!r} and has {size:,} bytes",
        "expected safetensors (8 bytes of header length, then '{') or a file of torch.save",
    )


def is_checkpoint(path: Path) -> bool:
    """Tell whether a file is in one of the formats, by its content alone."""
    try:
        head, _ = _head(path)
    except CheckpointError:
        return False
    return any(each.is_one(head) for each in file_formats())


def looks_like_index(path: Path) -> bool:
    """Tell whether a file says which shard holds which tensor, whatever its suffix."""
    if path.name.endswith(INDEX_SUFFIX):
        return True
    try:
        check_regular(path, CheckpointError)
        with path.open("rb") as file:
            head = file.read(4096).lstrip()
    except (OSError, CheckpointError):
        return False  # whoever opens it says what is wrong
    return head.startswith(b"{") and b'"weight_map"' in head


def _head(path: Path) -> tuple[bytes, int]:
    """Return the first 512 bytes and the size, or raise what the user can fix."""
    check_regular(path, CheckpointError)
    try:
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
    if not os.path.isdir(folder):
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
    if not known and _is_text(head):
        first = head.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
        raise CheckpointError(
            f"'{path}' is a text, not a checkpoint: it begins with {brief(first, 40)}",
            "expected safetensors, a file of torch.save or a NumPy archive",
        )


def _is_text(head: bytes) -> bool:
    """Tell whether a file begins with letters alone; a character may be cut at the end."""
    if any(byte < 32 and byte not in b"\t\n\r\f" for byte in head):
        return False
    try:
        head[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(head) > 8


def _lfs_size(head: bytes) -> int | None:
    for line in head.splitlines():
        key, _, value = line.partition(b" ")
        if key == b"size" and value.isdigit() and len(value) < 20:
            return int(value)
    return None


def _by_suffix(path: Path) -> FileFormat | None:
    """Take a file at its name's word, where the format's reader can say what is damaged."""
    return next((each for each in file_formats(path.name) if each.by_suffix), None)

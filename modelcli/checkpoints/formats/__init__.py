"""The formats of checkpoint files: one file each, and one line each in `FORMATS`.

Everybody who must know which suffixes there are, what a file is, or how it is read asks here.
Suffixes stand in the table, so that a target is parsed without importing any format.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelcli.checkpoints.records import FileFormat

_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")

FORMATS: dict[str, tuple[str, ...]] = {
    "modelcli.checkpoints.formats.safetensors:SAFETENSORS": (".safetensors",),
    "modelcli.checkpoints.formats.npz:NPZ": (),
    "modelcli.checkpoints.formats.torchfile:TORCH_ZIP": _TORCH_SUFFIXES,
    "modelcli.checkpoints.formats.torchfile:TORCH_LEGACY": _TORCH_SUFFIXES,
}
"""Where a `FileFormat` is, as an entry point says it, and its suffixes; asked in this order.

A suffix makes a file one of the checkpoints of its folder; a file that is named itself is told by
its content, whatever its suffix.
"""

INDEX_SUFFIX = ".index.json"


def file_formats(name: str = "") -> Iterator[FileFormat]:
    """Yield the formats that a file of this name can have; without a name, all."""
    for place, suffixes in FORMATS.items():
        if not name or name.endswith(suffixes):
            module, _, attribute = place.partition(":")
            found: FileFormat = getattr(import_module(module), attribute)
            yield found


def format_named(name: str) -> FileFormat:
    """Return the format of this name, as `Checkpoint.format` has it."""
    return next(each for each in file_formats() if each.name == name)


def file_suffixes() -> tuple[str, ...]:
    """Return the suffixes of all formats, each once."""
    return tuple(dict.fromkeys(suffix for suffixes in FORMATS.values() for suffix in suffixes))


def family(name: str) -> tuple[str, ...]:
    """Return all suffixes of the first format that has this file's; empty if none has."""
    return next((suffixes for suffixes in FORMATS.values() if name.endswith(suffixes)), ())

"""What a checkpoint holds, as frozen records without data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """One named tensor in a file.

    Attributes:
        name: its key, with the keys of nested dictionaries joined by dots.
        shape: as the file states it.
        dtype: torch's name for the element type, without ``torch.``.
        numel: logical elements; two per byte for 4-bit types.
        stored: stored elements, which is fewer where several are packed into one.
        bytes: of the elements, at their true width.
        tied_to: the first name of the same memory, where this is an alias of it.
        file: where the elements are.
        offset: of the first element in the file, None where it cannot be known without reading.
        stride: in elements, None where the elements lie one after the other.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    numel: int
    stored: int
    bytes: int
    file: Path
    tied_to: str | None = None
    offset: int | None = None
    stride: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChoice:
    """A dictionary of tensors inside a file; ``key`` is empty for the outermost one."""

    key: str
    tensors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one file holds; the fields are those of `Checkpoint`."""

    tensors: tuple[TensorRecord, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    choices: tuple[KeyChoice, ...] = ()
    other_entries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """A format of checkpoint files.

    Attributes:
        name: as it is shown.
        is_one: tells from the first 512 bytes of a file whether it has this format.
        read: reads the header of a file under a key, which is None if none was asked for.
        load: returns a file's tensors under a key, on the CPU; needed where a record may lack its
            ``offset``, and None where every tensor's place in the file is known.
        by_suffix: whether a file that is nothing known is read by its suffix, so that the reader
            can say what is damaged.
        in_order: whether its tensors come in the order in which the modules were defined.
    """

    name: str
    is_one: Callable[[bytes], bool]
    read: Callable[[Path, str | None], Contents]
    load: Callable[[Path, str], Mapping[str, Any]] | None = None
    by_suffix: bool = False
    in_order: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint, which may be several files.

    Attributes:
        path: as the user named it.
        format: name of the format of its first file.
        files: in the order in which they were read.
        file_bytes: of all files together.
        tensors: in the file's order.
        metadata: the safetensors ``__metadata__``; empty for the other formats.
        key: the dictionary that was chosen, empty for the outermost one.
        choices: every dictionary of tensors that the file holds, where it is one of several.
        not_stored: names that the file says are tied to a name it holds, and left out.
        other_entries: how many entries beside the tensors (counters, options) were passed over.
        notes: what the reader found worth saying, one sentence each.
        in_order: whether names come in the order in which the modules were defined.
    """

    path: Path
    format: str
    files: tuple[Path, ...]
    file_bytes: int
    tensors: tuple[TensorRecord, ...]
    metadata: dict[str, str] = field(default_factory=dict)
    key: str = ""
    choices: tuple[KeyChoice, ...] = ()
    not_stored: dict[str, str] = field(default_factory=dict)
    other_entries: int = 0
    notes: tuple[str, ...] = ()
    in_order: bool = True

    @property
    def numel(self) -> int:
        """Logical elements of the unique tensors."""
        return sum(tensor.numel for tensor in self.tensors if tensor.tied_to is None)

    @property
    def tensor_bytes(self) -> int:
        """Bytes of the unique tensors."""
        return sum(tensor.bytes for tensor in self.tensors if tensor.tied_to is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorStats:
    """What can be said of a tensor's values.

    ``mean``, ``std``, ``min``, ``max`` and ``norm`` are over the finite values, and None where
    there is none; complex values count by their magnitude.

    Attributes:
        mean: arithmetic.
        std: with n - 1 in the denominator, as ``tensor.std()``; None below two values.
        min: smallest.
        max: largest.
        norm: the root of the sum of squares.
        zeros: share of exact zeros, 0 to 1.
        nan: how many are not a number.
        inf: how many are infinite, of either sign.
    """

    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    norm: float | None
    zeros: float
    nan: int
    inf: int


def brief(text: object, limit: int = 80) -> str:
    """Return a value from a file, fit to be echoed: quoted, escaped and cut."""
    shown = repr(text[: limit * 2] if isinstance(text, str) else text)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."

"""The values of tensors, in chunks that fit the cache: from a file or from memory."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from modelcli.checkpoints.decode import Decoder, can_decode
from modelcli.checkpoints.formats import format_named
from modelcli.checkpoints.records import Checkpoint, TensorRecord, brief
from modelcli.errors import CheckpointError

Array = NDArray[Any]

CHUNK_BYTES = 1 << 20
# elements that are read where a few are repeated: a file of a kilobyte may claim any number
_MOST_REPEATED = 1 << 26


class Values(Protocol):
    """Somewhere that tensors' values can be read from, by name."""

    def readable(self, name: str) -> bool:
        """Say whether the values of this tensor can be turned into numbers."""

    def chunks(self, name: str) -> Iterator[Array]:
        """Yield the values in row-major order, flat, in chunks.

        A chunk is valid only until the next is taken.
        """

    def whole(self, name: str) -> Array:
        """Return all values in the tensor's shape."""

    def part(self, name: str, index: tuple[int, ...]) -> Array:
        """Return ``tensor[index]`` for leading whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A tensor in memory, kept alive beside the array over its bytes."""

    raw: Array
    dtype: str
    shape: tuple[int, ...]
    owner: Any


class TensorValues:
    """Values of tensors that are in memory, as of a model that was built for real.

    Args:
        tensors: name to dense tensor; one on another device is copied when it is asked for.
    """

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._tensors = tensors

    def readable(self, name: str) -> bool:
        """Say whether the values of this tensor can be turned into numbers."""
        return can_decode(_dtype(self._tensors[name])) and not _is_odd(self._tensors[name])

    def chunks(self, name: str) -> Iterator[Array]:
        """Yield the values in row-major order, flat, a chunk at a time."""
        held = self._hold(name)
        decoder = Decoder(held.dtype)
        step = _step(decoder)
        for begin in range(0, held.raw.size, step):
            yield decoder(held.raw[begin : begin + step])

    def whole(self, name: str) -> Array:
        """Return all values in the tensor's shape."""
        held = self._hold(name)
        return _shaped(Decoder(held.dtype)(held.raw).copy(), held.shape)

    def part(self, name: str, index: tuple[int, ...]) -> Array:
        """Return ``tensor[index]`` for leading whole numbers."""
        return TensorValues({name: self._tensors[name].detach()[index]}).whole(name)

    def _hold(self, name: str) -> _Held:
        tensor = self._tensors[name].detach()
        if tensor.device.type == "meta":
            raise CheckpointError(
                f"tensor {brief(name)} has no values: it is on the meta device",
                "build or save the model on a device that holds values",
            )
        dense = tensor.cpu().contiguous()
        size = dense.numel() * dense.element_size()
        # torch's own .numpy() knows neither bfloat16 nor the 8-bit floats; the bytes are enough.
        buffer = (ctypes.c_char * size).from_address(dense.data_ptr()) if size else b""
        return _Held(
            raw=np.frombuffer(buffer, dtype=np.uint8),
            dtype=_dtype(dense),
            shape=tuple(dense.shape),
            owner=dense,
        )


class FileValues:
    """Values of a checkpoint, read from its files piece by piece.

    Files of ``torch.save`` before version 1.6 cannot be read in pieces and are loaded whole; a
    tensor whose place in the file is not known is mapped into memory by torch.

    Args:
        checkpoint: as `read_checkpoint` returned it.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._records = {tensor.name: tensor for tensor in checkpoint.tensors}
        self._checkpoint = checkpoint
        self._files: dict[Path, FileIO] = {}
        self._stack = ExitStack()
        self._loaded: TensorValues | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._files.clear()

    def readable(self, name: str) -> bool:
        """Say whether the values of this tensor can be turned into numbers."""
        record = self._records[name]
        if record.numel and not record.stored:  # sparse, or saved without elements
            return False
        return can_decode(record.dtype)

    def chunks(self, name: str) -> Iterator[Array]:
        """Yield the values in row-major order, flat, a chunk at a time.

        Raises:
            CheckpointError: the file became shorter since its header was read.
        """
        record = self._records[name]
        if record.offset is None:
            yield from self._memory().chunks(name)
        elif record.stride is not None:
            yield from self._strided_chunks(record, record.stride, record.offset)
        else:
            yield from self._plain_chunks(record, record.offset)

    def whole(self, name: str) -> Array:
        """Return all values in the tensor's shape."""
        record = self._records[name]
        if record.offset is None:
            return self._memory().whole(name)
        if record.stride is not None:
            return self._strided(record, record.stride, record.offset).copy()
        return _shaped(self._block(record, record.offset, record.bytes), record.shape)

    def part(self, name: str, index: tuple[int, ...]) -> Array:
        """Return ``tensor[index]`` for leading whole numbers, reading no more than that."""
        record = self._records[name]
        if record.offset is None or record.stride is not None or record.stored != record.numel:
            whole: Array = self.whole(name)[index]
            return whole
        rest = record.shape[len(index) :]
        width = record.bytes // max(record.numel, 1)
        at = 0
        for position, size in zip(index, record.shape, strict=False):
            at = at * size + position % size
        size = math.prod(rest) * width
        return _shaped(self._block(record, record.offset + at * size, size), rest)

    def _plain_chunks(self, record: TensorRecord, offset: int) -> Iterator[Array]:
        decoder = Decoder(record.dtype)
        file = self._open(record.file)
        file.seek(offset)
        buffer = np.empty(min(_step(decoder), record.bytes), dtype=np.uint8)
        left = record.bytes
        while left:
            piece = buffer[: min(left, buffer.size)]
            _fill(file, piece, record)
            yield decoder(piece)
            left -= piece.size

    def _strided_chunks(
        self, record: TensorRecord, stride: tuple[int, ...], offset: int
    ) -> Iterator[Array]:
        if record.numel > max(_MOST_REPEATED, _span(record, stride)):
            raise _repeated(record)
        flat = self._strided(record, stride, offset).flat
        step = CHUNK_BYTES // 4
        for begin in range(0, record.numel, step):
            yield flat[begin : begin + step]

    def _strided(self, record: TensorRecord, stride: tuple[int, ...], offset: int) -> Array:
        """Return a view of a tensor whose elements do not lie one after the other."""
        if record.numel == 0:
            return np.empty(record.shape, dtype=np.float32)
        width = record.bytes // record.numel
        flat = self._block(record, offset, _span(record, stride) * width)
        strides = tuple(step * flat.itemsize for step in stride)
        try:
            return np.lib.stride_tricks.as_strided(flat, record.shape, strides, writeable=False)
        except ValueError:  # more bytes than there are addresses
            raise _repeated(record) from None

    def _block(self, record: TensorRecord, offset: int, size: int) -> Array:
        file = self._open(record.file)
        if offset + size > file.seek(0, 2):
            raise _shorter(record)
        file.seek(offset)
        raw = np.empty(size, dtype=np.uint8)
        _fill(file, raw, record)
        return Decoder(record.dtype)(raw)

    def _open(self, path: Path) -> FileIO:
        if path not in self._files:
            file = path.open("rb", buffering=0)
            self._files[path] = self._stack.enter_context(file)
        return self._files[path]

    def _memory(self) -> TensorValues:
        if self._loaded is None:
            self._loaded = TensorValues(_load_whole(self._checkpoint))
        return self._loaded


def _load_whole(checkpoint: Checkpoint) -> dict[str, Any]:
    load = format_named(checkpoint.format).load
    assert load is not None  # where every tensor has an offset, nobody asks
    tensors: dict[str, Any] = {}
    for path in checkpoint.files:
        tensors.update(load(path, checkpoint.key))
    return tensors


def _fill(file: FileIO | BufferedReader, buffer: Array, record: TensorRecord) -> None:
    """Read until the buffer is full; a single read stops at 2 GB on Linux."""
    view = buffer.data
    while view:
        count = file.readinto(view)
        if not count:
            raise _shorter(record)
        view = view[count:]


def _span(record: TensorRecord, stride: tuple[int, ...]) -> int:
    """Return how many elements lie from the first to the last that a tensor has in the file."""
    return 1 + sum((size - 1) * step for size, step in zip(record.shape, stride, strict=True))


def _repeated(record: TensorRecord) -> CheckpointError:
    return CheckpointError(
        f"tensor {brief(record.name)} of '{record.file}' repeats its elements to {record.numel:,}",
        "it was expanded before it was saved: there is no more in it than --values shows",
    )


def _shorter(record: TensorRecord) -> CheckpointError:
    return CheckpointError(
        f"'{record.file}' ends within tensor {brief(record.name)}",
        "the file changed while it was read, or is damaged: save it again",
    )


def _step(decoder: Decoder) -> int:
    """Bytes of a chunk: narrow types give fewer, so that the decoded chunk stays small."""
    per_megabyte = CHUNK_BYTES // 4 * decoder.stored_bytes // decoder.packed
    return max(per_megabyte - per_megabyte % decoder.stored_bytes, decoder.stored_bytes)


def _shaped(flat: Array, shape: tuple[int, ...]) -> Array:
    """Give values their shape; where two share a stored element, the last size doubles."""
    count = math.prod(shape)
    if flat.size != count and shape and flat.size % max(count, 1) == 0 and count:
        return flat.reshape((*shape[:-1], shape[-1] * (flat.size // count)))
    return flat.reshape(shape)


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _is_odd(tensor: Any) -> bool:
    """Sparse and quantised tensors have no plain row of numbers behind them."""
    return str(tensor.layout) != "torch.strided" or bool(tensor.is_quantized)

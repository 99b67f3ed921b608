"""The header of a safetensors file: read alone, checked against the file's size, data untouched.

Format: 8 little-endian bytes with the header's length, the header as JSON, then the data; see
https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
import os
from operator import itemgetter
from pathlib import Path
from typing import Any

from modelcli.checkpoints.dtypes import DTYPES, DType
from modelcli.checkpoints.records import Contents, FileFormat, TensorRecord, brief
from modelcli.errors import CheckpointError

MAX_HEADER_BYTES = 100_000_000
_LARGE_HEADER_BYTES = 4_000_000
_LARGEST = 2**63 - 1
_AGAIN = "the file is damaged or was written wrongly: download or save it again"

# The codes of the format, as its reference implementation lists them.
SAFETENSORS_DTYPES: dict[str, DType] = {
    code: DTYPES[name]
    for code, name in {
        "BOOL": "bool",
        "F4": "float4_e2m1fn_x2",
        "F6_E2M3": "float6_e2m3fn",
        "F6_E3M2": "float6_e3m2fn",
        "U8": "uint8",
        "I8": "int8",
        "F8_E5M2": "float8_e5m2",
        "F8_E4M3": "float8_e4m3fn",
        "F8_E8M0": "float8_e8m0fnu",
        "F8_E4M3FNUZ": "float8_e4m3fnuz",
        "F8_E5M2FNUZ": "float8_e5m2fnuz",
        "I16": "int16",
        "U16": "uint16",
        "F16": "float16",
        "BF16": "bfloat16",
        "I32": "int32",
        "U32": "uint32",
        "F32": "float32",
        "C64": "complex64",
        "F64": "float64",
        "I64": "int64",
        "U64": "uint64",
    }.items()
}

Span = tuple[int, int, str]


def read_safetensors(path: Path) -> tuple[tuple[TensorRecord, ...], dict[str, str]]:
    """Return the tensors of one file in the header's order, and its ``__metadata__``.

    Raises:
        CheckpointError: in this order: the file is shorter than its length field; the header is
            longer than 100 MB or than the file; it is not UTF-8, not JSON, not an object, or has
            a key twice; an entry lacks a field, has an unknown dtype, a wrong shape, offsets out
            of range or of another size than shape and dtype; two entries overlap; some bytes
            belong to no tensor.
    """
    raw, data_bytes = _read_header(path)
    header = _parse(path, raw)
    metadata = _metadata(path, header.pop("__metadata__", None))
    start = 8 + len(raw)
    spans: list[Span] = []
    tensors = tuple(
        _record(path, name, entry, start=start, data_bytes=data_bytes, spans=spans)
        for name, entry in header.items()
    )
    _check_cover(path, spans, data_bytes)
    return tensors, metadata


def _read_header(path: Path) -> tuple[bytes, int]:
    """Return the header's bytes and the number of bytes behind it."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8:
            raise CheckpointError(
                f"'{path}' is truncated: {size} bytes, and a safetensors file has at least 8",
                _AGAIN,
            )
        if length > MAX_HEADER_BYTES:
            raise CheckpointError(
                f"'{path}' is not safetensors: its first 8 bytes claim a header of {length:,} "
                f"bytes, above the {MAX_HEADER_BYTES:,} that the format allows",
                _AGAIN,
            )
        if length > size - 8:
            raise CheckpointError(
                f"'{path}' is truncated: its header should have {length:,} bytes, and "
                f"{size - 8:,} are left in the file",
                _AGAIN,
            )
        # One byte first: a hundred megabytes of nothing are not worth reading.
        first = file.read(min(1, length))
        if first != b"{":
            raise CheckpointError(
                f"'{path}' is not safetensors: its header begins with {first!r}, not with '{{'",
                _AGAIN,
            )
        return first + file.read(length - 1), size - 8 - length


def _parse(path: Path, raw: bytes) -> dict[str, Any]:
    _refuse_bomb(path, raw)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except _TwiceError as error:
        raise CheckpointError(
            f"'{path}' names {brief(str(error))} twice in its header", _AGAIN
        ) from None
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"the header of '{path}' is not UTF-8 (byte {error.start})", _AGAIN
        ) from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"the header of '{path}' is not valid JSON: {brief(str(error))[1:-1]}", _AGAIN
        ) from None
    if not isinstance(header, dict):  # unreachable while the first byte is checked, and cheap
        raise CheckpointError(f"the header of '{path}' is not a JSON object", _AGAIN)
    return header


def _refuse_bomb(path: Path, raw: bytes) -> None:
    """Refuse a large header of many small values, which would fill the memory once parsed."""
    if len(raw) < _LARGE_HEADER_BYTES:
        return
    tensors = raw.count(b'"data_offsets"')
    if raw.count(b"[") + raw.count(b"{") + raw.count(b",") > 64 * tensors + 10_000:
        raise CheckpointError(
            f"the header of '{path}' has {len(raw):,} bytes and only {tensors:,} tensors", _AGAIN
        )


class _TwiceError(ValueError):
    """A key stood twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _TwiceError(key)
            seen.add(key)
    return found


def _metadata(path: Path, value: object) -> dict[str, str]:
    """Return ``__metadata__``, which may be absent, null or empty, and maps text to text."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise CheckpointError(
            f"the '__metadata__' of '{path}' does not map text to text: {brief(value)}", _AGAIN
        )
    return value


def _record(
    path: Path, name: str, entry: object, *, start: int, data_bytes: int, spans: list[Span]
) -> TensorRecord:
    try:
        code, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        raise _bad(path, name, f"needs dtype, shape and two data_offsets: {brief(entry)}") from None
    dtype = SAFETENSORS_DTYPES.get(code) if isinstance(code, str) else None
    if dtype is None:
        raise _bad(path, name, f"has the unknown dtype {brief(code)}")
    numel = _numel(path, name, shape)
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
        raise _bad(path, name, f"has the data_offsets {brief([begin, end])}")
    if end > data_bytes:
        raise _bad(
            path,
            name,
            f"ends at byte {brief(end)} of the data, which has {data_bytes:,}: truncated",
        )
    _check_size(path, name, dtype, shape, numel, end - begin)
    if end > begin:
        spans.append((begin, end, name))
    return TensorRecord(
        name=name,
        shape=tuple(shape),
        dtype=dtype.name,
        numel=numel,
        stored=-(-numel // dtype.packed),
        bytes=end - begin,
        file=path,
        offset=start + begin,
    )


def _numel(path: Path, name: str, shape: object) -> int:
    """Multiply the sizes, each of which must be a whole number that fits 63 bits."""
    if not isinstance(shape, list):
        raise _bad(path, name, f"has the shape {brief(shape)}")
    numel = 1
    for size in shape:
        if type(size) is not int or not 0 <= size <= _LARGEST:
            raise _bad(path, name, f"has the shape {brief(shape)}")
        numel *= size
        if numel > _LARGEST:
            raise _bad(path, name, f"has the shape {brief(shape)}, more than any file can hold")
    return numel


def _check_size(path: Path, name: str, dtype: DType, shape: object, numel: int, size: int) -> None:
    if numel * dtype.bits != size * 8:
        raise _bad(
            path,
            name,
            f"has {size:,} bytes, but {dtype.name} of shape {brief(shape)} takes "
            f"{numel * dtype.bits / 8:,.10g}",
        )


def _check_cover(path: Path, spans: list[Span], data_bytes: int) -> None:
    """Tensors must neither overlap nor leave bytes out, as the format demands."""
    spans.sort(key=itemgetter(0, 1))
    at, before = 0, ""
    for begin, end, name in spans:
        if begin < at:
            raise _bad(path, name, f"overlaps {brief(before)} by {at - begin:,} bytes")
        if begin > at:
            break
        at, before = end, name
    if at != data_bytes:
        raise CheckpointError(
            f"'{path}' has bytes that belong to no tensor, from byte {at:,} of its data on", _AGAIN
        )


def _bad(path: Path, name: str, what: str) -> CheckpointError:
    return CheckpointError(f"tensor {brief(name)} in '{path}' {what}", _AGAIN)


def _is_safetensors(head: bytes) -> bool:
    """A brace after eight bytes of length; a zip archive is another matter."""
    return head[8:9] == b"{" and not head.startswith(b"PK\x03\x04")


def _read(path: Path, key: str | None) -> Contents:
    if key:
        raise CheckpointError(
            f"--key {key}: a safetensors file has no nested dictionaries ('{path}')",
            "leave --key out; --match filters names",
        )
    tensors, metadata = read_safetensors(path)
    return Contents(tensors=tensors, metadata=metadata)


SAFETENSORS = FileFormat(
    name="safetensors",
    is_one=_is_safetensors,
    read=_read,
    by_suffix=True,
    in_order=False,  # names are sorted by the usual writer
)

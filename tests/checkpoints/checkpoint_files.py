"""Checkpoints made by hand, so that every byte of them can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def header_bytes(header: Any) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    path.write_bytes(header_bytes(header) + data)
    return path


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def two_tensors() -> tuple[dict[str, Any], bytes]:
    header = {
        "a": entry("F32", [2, 3], 0, 24),
        "b": entry("BF16", [4], 24, 32),
    }
    return header, bytes(range(32))

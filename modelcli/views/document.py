"""The JSON text of a result: one document, with a row a line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any


def dump_json(document: Mapping[str, Any], *, ascii: bool = False) -> str:
    """Return a JSON text with one key, or one row of a list, a line; NaN becomes null.

    Args:
        document: a mapping. Infinity becomes null too: JSON has neither.
        ascii: escape every other character, for a stream that takes no more.
    """
    members = [f"  {_one_line(key)}: {_rows(value)}" for key, value in _finite(document).items()]
    text = "{\n" + ",\n".join(members) + "\n}"
    return _BEYOND_ASCII.sub(_escape, text) if ascii else text


def _rows(value: Any) -> str:
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return _one_line(value)
    return "[\n" + ",\n".join(f"    {_one_line(item)}" for item in value) + "\n  ]"


def _one_line(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else _BEYOND_ASCII.sub(_escape_unprintable, text)


_BEYOND_ASCII = re.compile(r"[^\n\x20-\x7e]")


def _escape_unprintable(found: re.Match[str]) -> str:
    """Escape what json leaves as it is: marks of direction, C1 controls, half surrogates, DEL."""
    return found.group() if found.group().isprintable() else _escape(found)


def _escape(found: re.Match[str]) -> str:
    return "".join(f"\\u{unit:04x}" for unit in _utf16(found.group()))


def _utf16(character: str) -> Iterator[int]:
    units = character.encode("utf-16-be", "surrogatepass")
    return (int.from_bytes(units[i : i + 2]) for i in range(0, len(units), 2))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value

"""The JSON text of a result: one document, with a row a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def dump_json(document: Mapping[str, Any]) -> str:
    """Return a JSON text with one key, or one row of a list, a line; NaN becomes null.

    ``document`` is a mapping. Infinity becomes null too: JSON has neither.
    """
    members = [f"  {_one_line(key)}: {_rows(value)}" for key, value in _finite(document).items()]
    return "{\n" + ",\n".join(members) + "\n}"


def _rows(value: Any) -> str:
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return _one_line(value)
    return "[\n" + ",\n".join(f"    {_one_line(item)}" for item in value) + "\n  ]"


def _one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value

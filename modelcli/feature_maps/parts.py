"""Parts of a tensor: which cells an index, a slice or a crop leaves, and what they see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelcli.feature_maps.field import Field, cut, pick
from modelcli.feature_maps.record import Shape
from modelcli.tracing.record import Call


def sliced(call: Call, field: Field, shape: Shape) -> Field | None:
    """Return the field behind ``x[...]``, ``narrow`` or ``select``.

    Args:
        call: with its index, as far as that is made of plain values.
        field: what the cells see before.
        shape: the sizes before.

    Returns:
        None where the index is not known or is a tensor, or the call is another one.
    """
    index = _index(call.base, call.geometry, len(shape))
    if index is None:
        return None
    taken = sum(item is not None and item is not ... for item in index)
    at = index.index(...) if ... in index else len(index)
    rest = (slice(None),) * (len(shape) - taken)
    sizes = iter(shape)
    position = 0  # of the axis that the next item takes
    for item in (*index[:at], *rest, *index[at + 1 :]):
        if item is None:
            axes = (*field.axes[:position], None, *field.axes[position:])
            field = replace(field, axes=axes)
        elif isinstance(item, slice):
            first, _, step = item.indices(next(sizes))
            if (first, step) != (0, 1):
                field = cut(field, position, first, step)
        else:
            field = pick(field, position, item % next(sizes))
            continue
        position += 1
    return field


def _index(name: str, given: Mapping[str, Any], rank: int) -> tuple[Any, ...] | None:
    """Return an index as ``x[...]`` takes it, None where it is not made of plain values."""
    whole = slice(None)
    if name == "getitem" and "index" in given:
        index = given["index"]
        index = index if isinstance(index, tuple) else (index,)
        plain = all(item is None or item is ... or _is_cell(item) for item in index)
        return index if plain and index.count(...) <= 1 else None
    if name not in ("narrow", "select") or not isinstance(given.get("dim"), int):
        return None
    before = (whole,) * (given["dim"] % rank)
    start = given.get("start" if name == "narrow" else "index")
    if not isinstance(start, int):
        return None
    if name == "select":
        return (*before, start)
    length = given.get("length")
    return (*before, slice(start, start + length)) if isinstance(length, int) else None


def _is_cell(item: Any) -> bool:
    return isinstance(item, slice) or (isinstance(item, int) and not isinstance(item, bool))

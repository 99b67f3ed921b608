"""Feature maps as JSON: one row per layer that changes one, with its formula and what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any

from modelcli.feature_maps.record import AxisResult
from modelcli.feature_maps.row import MapRow, channels_of


def shapes_body(rows: Sequence[MapRow]) -> dict[str, Any]:
    """Return the rows as JSON."""
    return {"rows": [row_body(row) for row in rows]}


def row_body(row: MapRow) -> dict[str, Any]:
    """Return one row as JSON; per-axis values are lists, outermost axis first."""
    axes = row.result.axes
    output = row.result.output_shape
    return {
        "path": row.path,
        "type": row.type,
        "input": list(row.result.input_shape),
        "kernel": _per_axis(axes, "kernel"),
        "stride": _per_axis(axes, "stride"),
        "padding": _paddings(axes),
        "dilation": _per_axis(axes, "dilation"),
        "output": list(output),
        "receptive_field": list(row.receptive_field),
        "jump": _some([_number(jump) for jump in row.jump]),
        "start": _some(list(row.start)),
        "unseen": list(row.unseen),
        "unseen_at": [[list(span) for span in axis.unseen] for axis in axes],
        "formula": row.formula,
        "channels": {"in": channels_of(row, 0), "out": channels_of(row, 1)},
        "activation_numel": prod(output),
        "activation_bytes": row.activation_bytes,
        "share": row.share,
        "branches_differ": row.field.differ,
    }


def _some(values: list[Any]) -> list[Any] | None:
    """Return the values, None where no axis has one."""
    return None if values and all(value is None for value in values) else values


def _per_axis(axes: Sequence[AxisResult], name: str) -> list[int] | None:
    values = [getattr(axis, name) for axis in axes]
    return None if not values or None in values else values


def _paddings(axes: Sequence[AxisResult]) -> list[Any] | None:
    pairs = [axis.padding for axis in axes if axis.padding is not None]
    if not axes or len(pairs) != len(axes):
        return None
    if all(before == after for before, after in pairs):
        return [before for before, _ in pairs]
    return [list(pair) for pair in pairs]


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else round(float(value), 6)

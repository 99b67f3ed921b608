"""Named tensors as a table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from modelcli.tensors.rows import ParamRow, Totals
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import plural, show_bytes, show_count, show_shape


def params_body(rows: Sequence[ParamRow], totals: Totals) -> dict[str, Any]:
    """Return the JSON document: ``rows`` and ``totals``."""
    return {"rows": json_rows(_columns(rows), rows), "totals": asdict(totals)}


def params_table(rows: Sequence[ParamRow], totals: Totals, *, notes: Iterable[str] = ()) -> Table:
    """Return one row per tensor: name, shape, dtype, count, bytes, trainable, tied to."""
    return table_of(
        _columns(rows),
        rows,
        notes=(*totals_lines(rows, totals), *notes),
        styles=tuple("dim" if row.tied_to else "" for row in rows),
        spare=("trainable", "kind", "bytes", "dtype"),
    )


def _columns(rows: Sequence[ParamRow]) -> tuple[Column, ...]:
    """Return the columns; people see those that say something about these rows."""
    of_model = any(row.kind != "tensor" for row in rows) or not rows
    of_kinds = len({row.kind for row in rows}) > 1
    ties = any(row.tied_to for row in rows)
    overlap = any(row.stored != row.numel for row in rows)
    sharded = any(row.file for row in rows)
    return (
        Column(key="name", title="name"),
        Column(key="kind", title="kind", only=None if of_kinds else "data"),
        Column(key="shape", title="shape", get=_shape, show=show_shape),
        Column(key="dtype", title="dtype"),
        Column(key="numel", title="count", align="right", show=show_count),
        Column(key="stored_numel", title="stored", get=attrgetter("stored"), align="right",
               show=show_count, only=None if overlap else "json"),
        Column(key="bytes", title="bytes", align="right", show=show_count),
        Column(key="trainable", title="trainable", show=_yes, only=None if of_model else "data"),
        Column(key="tied_to", title="tied to", only=None if ties else "data"),
        Column(key="file", title="file", only=None if sharded else "json", optional=True),
        Column(key="stats", title="stats", get=_part("stats"), only="json", optional=True),
        Column(key="theory", title="theory", get=_part("theory"), only="json", optional=True),
    )  # fmt: skip


def _shape(row: ParamRow) -> list[int]:
    return list(row.shape)


def _part(name: str) -> Callable[[ParamRow], dict[str, Any] | None]:
    """Return what takes a record within a row as a mapping; None where the row has none."""

    def get(row: ParamRow) -> dict[str, Any] | None:
        held = getattr(row, name)
        return None if held is None else asdict(held)

    return get


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def totals_lines(rows: Sequence[ParamRow], totals: Totals) -> list[str]:
    """Return the lines under the table."""
    parts = [f"{show_count(totals.params)} parameters"]
    if totals.trainable_params is not None:
        frozen = totals.params - totals.trainable_params
        parts.append(f"{show_count(totals.trainable_params)} trainable")
        if frozen:
            parts.append(f"{show_count(frozen)} frozen")
    if totals.buffers:
        parts.append(f"{show_count(totals.buffers)} in buffers")
    lines = [f"{plural(totals.tensors, 'tensor')}, {', '.join(parts)}, {show_bytes(totals.bytes)}"]
    tied = sum(row.tied_to is not None for row in rows)
    if tied:
        lines.append(f"{plural(tied, 'name')} tied to another: counted once")
    return lines

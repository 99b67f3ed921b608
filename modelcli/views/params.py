"""Named tensors as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any, Literal

from modelcli.tensors.rows import ParamRow, Totals
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import plural, show_bytes, show_count, show_shape


def params_body(rows: Sequence[ParamRow], totals: Totals) -> dict[str, Any]:
    """Return the JSON document: ``rows`` and ``totals``."""
    return {"rows": [_json_row(row) for row in rows], "totals": asdict(totals)}


def _json_row(row: ParamRow) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": row.name,
        "kind": row.kind,
        "shape": list(row.shape),
        "dtype": row.dtype,
        "numel": row.numel,
        "stored_numel": row.stored,
        "bytes": row.bytes,
        "trainable": row.trainable,
        "tied_to": row.tied_to,
    }
    if row.file is not None:
        shown["file"] = row.file
    if row.stats is not None:
        shown["stats"] = asdict(row.stats)
    if row.theory is not None:
        shown["theory"] = asdict(row.theory)
    return shown


def params_table(rows: Sequence[ParamRow], totals: Totals, *, notes: Iterable[str] = ()) -> Table:
    """Return one row per tensor: name, shape, dtype, count, bytes, trainable, tied to."""
    return table_of(
        _columns(rows),
        rows,
        notes=(*totals_lines(rows, totals), *notes),
        styles=tuple("dim" if row.tied_to else "" for row in rows),
        spare=("trainable", "kind", "bytes", "dtype"),
    )


def _columns(rows: Sequence[ParamRow]) -> list[Column]:
    """Return the columns that say something about these rows."""
    of_model = any(row.kind != "tensor" for row in rows) or not rows
    ties = any(row.tied_to for row in rows)
    columns = [
        Column(key="name", title="name", get=_name),
        Column(key="kind", title="kind", get=attrgetter("kind"), only=_unless(_mixed(rows))),
        Column(key="shape", title="shape", get=attrgetter("shape"), show=show_shape),
        Column(key="dtype", title="dtype", get=attrgetter("dtype")),
        _number("numel", "count"),
    ]
    if any(row.stored != row.numel for row in rows):
        columns.append(_number("stored_numel", "stored", get="stored"))
    columns += [
        _number("bytes", "bytes"),
        Column(
            key="trainable",
            title="trainable",
            get=attrgetter("trainable"),
            show=_yes,
            only=_unless(of_model),
        ),
        Column(key="tied_to", title="tied to", get=_tied_to, only=_unless(ties)),
    ]
    if any(row.file for row in rows):
        columns.append(Column(key="file", title="file"))
    return columns


def _name(row: ParamRow) -> str:
    return printable(row.name)


def _tied_to(row: ParamRow) -> str | None:
    return printable(row.tied_to) if row.tied_to else None


def _number(key: str, title: str, *, get: str = "") -> Column:
    return Column(key=key, title=title, align="right", get=attrgetter(get or key), show=show_count)


def _unless(wanted: bool) -> Literal["data"] | None:
    """Keep a column that says nothing out of what people read; scripts get it always."""
    return None if wanted else "data"


def _mixed(rows: Sequence[ParamRow]) -> bool:
    return len({row.kind for row in rows}) > 1


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


def printable(name: str) -> str:
    """Return a name with its control characters escaped; a file may say anything."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)

"""Values of tensors as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modelcli.tensors.read_values import Shown
from modelcli.views.table import Column, Table, json_rows
from modelcli.views.text import show_value

_MAX_LINES = 40
_MAX_PER_LINE = 1000


def values_body(shown: Sequence[Shown]) -> dict[str, Any]:
    """Return what JSON has beside the rows."""
    columns = (
        Column(key="name", title="name"),
        Column(key="label", title="label"),
        Column(key="shape", title="shape", get=lambda part: list(part.shape)),
        Column(key="values", title="values"),
    )
    return {"values": json_rows(columns, shown)}


def values_table(shown: Sequence[Shown]) -> Table:
    """Return one row per vector of values."""
    lines = [line for part in shown for line in _lines(part)]
    notes = []
    if len(lines) > _MAX_LINES and all(part.shape[1:] for part in shown):
        notes.append(f"{len(lines) - _MAX_LINES:,} more lines: --format json has them all")
        lines = lines[:_MAX_LINES]
    return Table(
        title="Values",
        columns=(
            Column(key="name", title="name"),
            Column(key="values", title="values", show=show_values, prose=True),
        ),
        rows=tuple(lines),
        notes=tuple(notes),
    )


def _lines(part: Shown) -> Iterator[tuple[str, list[Any]]]:
    if not part.shape:
        yield part.label, [part.values]
        return
    yield from _vectors(part.label, part.values, len(part.shape))


def _vectors(label: str, values: Any, dims: int) -> Iterator[tuple[str, list[Any]]]:
    if dims == 1:
        yield label, values
        return
    for number, inner in enumerate(values):
        yield from _vectors(f"{label}[{number}]", inner, dims - 1)


def show_values(values: Sequence[Any]) -> str:
    """Write values side by side, four significant digits each."""
    text = "  ".join(show_value(value) for value in values[:_MAX_PER_LINE])
    more = len(values) - _MAX_PER_LINE
    return f"{text}  ... {more:,} more" if more > 0 else text

"""A comparison of models as tables: one row a model, or what changed between two results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from modelcli.comparing.changes import Change, Changes
from modelcli.comparing.row import NUMBERS, ON_REQUEST, ModelRow
from modelcli.comparing.where import Condition, parse_where
from modelcli.views.naming import read_names, read_order
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import (
    plural,
    show_bytes,
    show_count,
    show_dims,
    show_seconds,
    show_si,
)

COLUMN_NAMES = ("target", *NUMBERS, "input_shape", "uncounted", "error")
_USUAL = ("target", "params", "param_bytes", "macs", "activations", *ON_REQUEST, "input_shape",
          "error")  # fmt: skip
_SPARE = ("input_shape", "param_bytes", "activations")
_LEGEND = {
    "activations": "activations  elements that convolutions, matrix products and attention give, "
    "scores included",
    "peak_bytes": "peak memory  of one pass, as 'modelcli memory' plans it with CUDA's kernels",
    "latency_s": "latency  the median of one pass, as 'modelcli time' measures it",
    "receptive_field": "receptive field  cells of the input that one cell behind the "
    "convolutions sees",
}
_TITLES = {
    "param_bytes": "size", "macs": "MACs", "flops": "FLOPs", "peak_bytes": "peak memory",
    "latency_s": "latency", "receptive_field": "receptive field", "input_shape": "input",
    "activation_bytes": "activation bytes", "uncounted": "not counted",
}  # fmt: skip


_SHOW: dict[str, Callable[[Any], str]] = {
    "params": show_si, "macs": show_si, "flops": show_si, "activations": show_si,
    "param_bytes": show_bytes, "activation_bytes": show_bytes, "peak_bytes": show_bytes,
    "latency_s": show_seconds, "receptive_field": show_count, "input_shape": show_dims,
    "uncounted": ", ".join,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rows and columns are shown, and in which order.

    Attributes:
        columns: their names; None shows the usual ones that hold anything.
        where: the condition that a row must meet, with its text.
        sort: the column by which rows are sorted; None keeps the order of the targets.
        ascending: sort from the smallest on.
        top: how many of the rows are shown; None shows all.
    """

    columns: tuple[str, ...] | None = None
    where: tuple[str, Condition] | None = None
    sort: str | None = None
    ascending: bool = False
    top: int | None = None

    @property
    def asked(self) -> frozenset[str]:
        """The columns that are named anywhere: what is worked out on request is wanted then."""
        where = self.where[1].columns if self.where is not None else ()
        sort = () if self.sort is None else (self.sort,)
        return frozenset({*(self.columns or ()), *where, *sort})


def read_choice(
    columns: str | None, where: str | None, sort: str | None, top: int | None
) -> Choice:
    """Read the options that say what is shown.

    Raises:
        UsageError: a column is not known, or the condition does not parse.
    """
    name, ascending = (
        read_order(sort, TYPED, NUMBERS, ("target",)) if sort is not None else (None, False)
    )
    return Choice(
        columns=read_names(columns, TYPED) if columns is not None else None,
        where=(where, parse_where(where, _KINDS)) if where is not None else None,
        sort=name,
        ascending=ascending,
        top=top,
    )


def compare_columns(rows: Sequence[ModelRow], names: Sequence[str] | None) -> tuple[Column, ...]:
    """Return the columns; of the usual ones people see none that is empty."""
    columns = []
    for name in COLUMN_NAMES:
        if names is not None:
            only = None if name in names or name == "target" else "json"
        elif name not in _USUAL or not any(_has(row, name) for row in rows):
            only = "data"
        else:
            only = None
        columns.append(_column(name, only))
    if names is not None:
        order = ["target", *(name for name in names if name != "target")]
        columns = [column for column in columns if column.only is None]
        columns.sort(key=lambda column: order.index(column.key))
    return tuple(shown for column in columns for shown in _bounded(column))


def _has(row: ModelRow, name: str) -> bool:
    return getattr(row, name) not in (None, ())


def _column(name: str, only: Any) -> Column:
    return Column(
        key=name,
        title=_TITLES.get(name, name),
        show=_SHOW.get(name),
        only=only,
        align="right" if name in NUMBERS else "left",
        prose=name == "error",
    )


def _bounded(column: Column) -> tuple[Column, ...]:
    """Let people see that a cost is a lower bound, and programs the number alone."""
    if column.only is not None or column.key not in _BOUNDED:
        return (column,)

    def text(row: ModelRow) -> str | None:
        value = column.value(row)
        return (
            None if value is None else (">= " if row.uncounted else "") + _SHOW[column.key](value)
        )

    return (replace(column, get=text, show=None, only="people"), replace(column, only="data"))


_BOUNDED = ("macs", "flops", "activations", "activation_bytes")


# What --columns and --sort may name: a column's own name, or what its heading says.
TYPED = {typed: name for name in COLUMN_NAMES for typed in (name, _TITLES.get(name, name))}
_KINDS: dict[str, Literal["number", "text"]] = {
    "target": "text", **dict.fromkeys(NUMBERS, "number")
}  # fmt: skip


def choose_rows(rows: Sequence[ModelRow], choice: Choice) -> tuple[list[ModelRow], list[ModelRow]]:
    """Return the rows that are shown, and those of which the condition cannot be told."""
    unknown: list[ModelRow] = []
    shown = list(rows)
    if choice.where is not None:
        held = [(choice.where[1].holds(row.to_dict()), row) for row in rows]
        shown = [row for truth, row in held if truth]
        unknown = [row for truth, row in held if truth is None]
    if choice.sort is not None:
        key = choice.sort
        known = [row for row in shown if _has(row, key)]
        known.sort(key=lambda row: getattr(row, key), reverse=not choice.ascending)
        shown = known + [row for row in shown if not _has(row, key)]
    return shown[: choice.top], unknown


def compare_table(rows: Sequence[ModelRow], choice: Choice) -> Table:
    """Return the rows as a table."""
    shown, unknown = choose_rows(rows, choice)
    columns = compare_columns(shown, choice.columns)
    legend = tuple(
        (column.key, _LEGEND[column.key])
        for column in columns
        if column.key in _LEGEND and column.for_people and shown
    )
    return table_of(
        columns,
        shown,
        title="comparison",
        notes=(*_notes(rows, shown, unknown, choice), *(line for _, line in legend)),
        legend=legend,
        styles=tuple("dim" if row.error is not None else "" for row in shown),
        spare=_SPARE if choice.columns is None else (),
    )


def _notes(
    rows: Sequence[ModelRow],
    shown: Sequence[ModelRow],
    unknown: Sequence[ModelRow],
    choice: Choice,
) -> list[str]:
    said = plural(len(rows), "model")
    if len(shown) != len(rows):
        said = f"{len(shown):,} of {said}"
    failed = sum(row.error is not None for row in rows)
    lines = [said + (f", {failed:,} failed" if failed else "")]
    if unknown and choice.where is not None:
        names = ", ".join(row.target for row in unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        lines.append(f"--where cannot be told of {plural(len(unknown), 'row')}, left out: {names}")
    partial = [row.target for row in shown if row.uncounted]
    if partial:
        lines.append(
            f"not every operation was counted in {plural(len(partial), 'model')}, whose costs are "
            f"lower bounds: {', '.join(partial[:3])}{', ...' if len(partial) > 3 else ''}"
        )
    return lines


def compare_body(rows: Sequence[ModelRow], choice: Choice) -> dict[str, Any]:
    """Return the JSON document's own keys."""
    shown, _ = choose_rows(rows, choice)
    return {"rows": [row.to_dict() for row in shown]}


def title_of(name: str) -> str:
    """Return a column's heading."""
    return _TITLES.get(name, name)


def shown_value(name: str, value: Any) -> str:
    """Return a column's value as people read it."""
    return _SHOW[name](value)


def row_line(row: ModelRow) -> str:
    """Return a row in a line, as it comes."""
    if row.error is not None:
        return f"{row.target}  failed: {row.error}"
    numbers = [f"{show_si(value)} {name}" for name, value in
               (("params", row.params), ("MACs", row.macs)) if value is not None]  # fmt: skip
    return "  ".join([row.target, *numbers])


def changes_table(changes: Changes) -> Table:
    """Return what changed between two results as a table."""
    notes = [f"{plural(changes.same, 'model')} the same"]
    notes += [f"only in the first: {', '.join(changes.only_a)}"] if changes.only_a else []
    notes += [f"only in the second: {', '.join(changes.only_b)}"] if changes.only_b else []
    return table_of(_CHANGE_COLUMNS, changes.changed, title="what changed", notes=tuple(notes))


def changes_body(changes: Changes) -> dict[str, Any]:
    """Return what changed between two results as JSON."""
    return {
        "changed": json_rows(_CHANGE_COLUMNS, changes.changed),
        "only_a": list(changes.only_a),
        "only_b": list(changes.only_b),
        "same": changes.same,
    }


def _side(name: str) -> Callable[[Change], str]:
    def shown(change: Change) -> str:
        value = getattr(change, name)
        if value is None:
            return "-"
        return value if isinstance(value, str) else _SHOW[change.column](value)

    return shown


def _show_growth(growth: float) -> str:
    return f"{100 * growth:+.2f} %"


_A, _B = (Column(key=name, title=name, get=_side(name), only="people", align="right")
          for name in "ab")  # fmt: skip
_CHANGE_COLUMNS = (
    Column(key="target", title="target"),
    Column(key="column", title="column"),
    _A,
    _B,
    replace(_A, get=None, only="data"),
    replace(_B, get=None, only="data"),
    Column(key="growth", title="change", show=_show_growth, align="right"),
)

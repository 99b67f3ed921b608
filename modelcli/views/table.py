"""The table that every view returns: plain values and how each column is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        key: name of the column in TSV.
        title: heading for people.
        align: side on which the cells are flush.
        show: turns a cell's value into text for people; None means ``str``, and a value of None
            is shown as nothing.
        only: ``"people"`` leaves the column out of TSV, ``"data"`` out of everything else.
        style: a rich style for the column on a terminal.
    """

    key: str
    title: str
    align: Literal["left", "right"] = "left"
    show: Callable[[Any], str] | None = None
    only: Literal["people", "data"] | None = None
    style: str = ""

    def text(self, value: Any) -> str:
        """Return a cell's text for people."""
        if value is None:
            return ""
        return self.show(value) if self.show is not None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of plain values under columns, with lines to print below them.

    Attributes:
        columns: the columns, in order.
        rows: one tuple of raw values per record, as long as ``columns``.
        title: a heading, printed only to people.
        notes: lines under the table, printed only to people.
        styles: a rich style per row (empty tuple: none), for instance ``"dim"``.
        framed: on a terminal the table and its notes stand in one frame, under the title.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    framed: bool = False


def fit_columns(table: Table, width: int, spare: Sequence[str]) -> Table:
    """Leave columns out until the rest fits a terminal, so that no number is cut.

    Args:
        width: of the terminal.
        spare: keys of columns that can be missed, the first to go first.
    """
    kept = list(range(len(table.columns)))
    for key in spare:
        if sum(_width(table, i) + 2 for i in kept) <= width:
            break
        kept = [i for i in kept if table.columns[i].key != key]
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in kept), rows=rows)


def _width(table: Table, index: int) -> int:
    column = table.columns[index]
    return max(len(column.title), *(len(column.text(row[index])) for row in table.rows))

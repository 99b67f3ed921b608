"""The table that every view returns: plain values and how each column is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()

"""One description of a result: its columns, from which every format takes its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from modelcli.views.text import printable

_NARROWEST_PROSE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table and one key of the JSON rows.

    Attributes:
        key: name of the column in TSV and JSON.
        title: heading for people.
        get: takes the raw value from a record; None means the attribute (or the item, if the
            record is a mapping) called ``key``.
        show: turns the value into text for people; None means ``str``, and a value of None
            is shown as nothing.
        only: where the column appears: ``"people"`` (table and Markdown), ``"text"`` (table,
            Markdown and TSV), ``"data"`` (TSV and JSON) or ``"json"``; None means everywhere.
        align: side on which the cells are flush.
        style: a rich style for the column on a terminal.
        optional: a JSON row lacks the key where the value is None.
        prose: the cells are sentences, which a narrow terminal may break between words. No other
            cell is ever broken: a path or a number in two lines cannot be copied.
    """

    key: str
    title: str
    get: Callable[[Any], Any] | None = None
    show: Callable[[Any], str] | None = None
    only: Literal["people", "text", "data", "json"] | None = None
    align: Literal["left", "right"] = "left"
    style: str = ""
    prose: bool = False
    optional: bool = False

    def value(self, record: Any) -> Any:
        """Return the raw value of this column for one record."""
        if self.get is not None:
            return self.get(record)
        return record[self.key] if isinstance(record, Mapping) else getattr(record, self.key)

    def text(self, value: Any) -> str:
        """Return a cell's text for people: one line, whatever a name in it holds."""
        if value is None:
            return ""
        return printable(self.show(value) if self.show is not None else str(value))

    @property
    def for_people(self) -> bool:
        """Whether tables and Markdown have this column."""
        return self.only in (None, "people", "text")

    @property
    def in_tsv(self) -> bool:
        """Whether TSV has this column."""
        return self.only in (None, "text", "data")

    @property
    def in_json(self) -> bool:
        """Whether the JSON rows have this column."""
        return self.only in (None, "data", "json")


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
        spare: keys of the columns that a narrow terminal may leave out, the first to go first.
        legend: keys of columns with the note that explains each; it goes with its column.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    framed: bool = False
    spare: tuple[str, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()


def table_of(columns: Sequence[Column], records: Iterable[Any], **rest: Any) -> Table:
    """Return a table with one row per record; ``rest`` are further attributes of the table."""
    kept = tuple(column for column in columns if column.only != "json")
    rows = tuple(tuple(column.value(record) for column in kept) for record in records)
    return Table(columns=kept, rows=rows, **rest)


def json_rows(columns: Sequence[Column], records: Iterable[Any]) -> list[dict[str, Any]]:
    """Return one mapping per record, from the keys of the columns to their raw values."""
    kept = [column for column in columns if column.in_json]
    return [
        {
            column.key: value
            for column in kept
            if (value := column.value(record)) is not None or not column.optional
        }
        for record in records
    ]


def for_people(table: Table) -> tuple[list[Column], list[list[str]]]:
    """Return the columns that people see, and their cells as texts."""
    kept = [i for i, column in enumerate(table.columns) if column.for_people]
    columns = [table.columns[i] for i in kept]
    return columns, [[table.columns[i].text(row[i]) for i in kept] for row in table.rows]


def least_width(table: Table) -> int:
    """Return the columns of a terminal that the table needs if prose is broken between words."""
    columns, rows = for_people(table)
    widths = [max(len(c.title), *(len(r[i]) for r in rows), 0) for i, c in enumerate(columns)]
    least = [
        min(width, _NARROWEST_PROSE) if column.prose else width
        for column, width in zip(columns, widths, strict=True)
    ]
    return sum(least) + 2 * (len(least) - 1) + (4 if table.framed else 0)


def fit_columns(table: Table, width: int) -> Table:
    """Leave spare columns out until the rest fits a terminal, and say which in a note.

    Args:
        table: what is to be shown.
        width: of the terminal, in characters.
    """
    left_out: list[Column] = []
    for key in table.spare:
        if least_width(table) <= width:
            break
        gone = [c for c in table.columns if c.key == key and c.for_people]
        kept = [i for i, column in enumerate(table.columns) if column not in gone]
        rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
        table = replace(table, columns=tuple(table.columns[i] for i in kept), rows=rows)
        left_out += gone
    if not left_out:
        return table
    names = ", ".join(column.title or column.key for column in left_out)
    in_tsv = {column.key for column in (*left_out, *table.columns) if column.in_tsv}
    keys = {column.key for column in left_out}
    has_all = "; --format tsv has all" if keys <= in_tsv else ""
    note = f"columns left out at this width: {names}{has_all}"
    unexplained = [line for key, line in table.legend if key in keys]
    kept_notes = [line for line in table.notes if line not in unexplained]
    return replace(table, notes=(*kept_notes, note))

"""Tables on a terminal: colours, boxes, and what a narrow one leaves out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TextIO

from modelcli.views.table import Table, fit_columns, for_people, least_width
from modelcli.views.text import Styled, printable


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads this stream; None is one that the shell has closed."""
    return stream is not None and stream.isatty()


def wants_colour(stream: TextIO | None) -> bool:
    """Tell whether a stream gets colours: NO_COLOR and FORCE_COLOR, then whether a person reads.

    Source: https://no-color.org, https://force-color.org
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") not in ("dumb", "unknown")


def is_styled(stream: TextIO | None) -> bool:
    """Tell whether tables are drawn as for a person: on a terminal, or where colours are forced."""
    return is_terminal(stream) or wants_colour(stream)


_UNLIMITED = 10_000  # in characters: into a file nothing is left out or broken


def console_on(stream: TextIO, *, width: int | None = None) -> Any:
    """Return a rich console that adds no colours of its own to what it writes.

    Args:
        stream: what it writes on.
        width: in characters; None asks the terminal.
    """
    from rich.console import Console

    height = 25 if width is not None else None  # rich heeds a width only along with a height
    return Console(file=stream, width=width, height=height, highlight=False, soft_wrap=False)


def write_tables(stream: TextIO, tables: Sequence[Table], *, notes: bool) -> None:
    """Write tables with rich; a table that cannot fit runs over rather than break a name."""
    console = console_on(stream, width=None if is_terminal(stream) else _UNLIMITED)
    for number, table in enumerate(tables):
        if number:
            console.print()
        _write_table(stream, console, table, titled=len(tables) > 1, notes=notes)


def _write_table(stream: TextIO, console: Any, table: Table, *, titled: bool, notes: bool) -> None:
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    table = fit_columns(table, console.width)
    needed = least_width(table)
    wide = console_on(stream, width=needed) if needed > console.width else console
    parts: list[Any] = [_rich_table(table, titled=titled)]
    if notes and table.notes:
        parts += ["", *(_rich_note(note) for note in table.notes)]
    if table.framed:
        title = Text(printable(table.title), style="bold")
        wide.print(Panel(Group(*parts), title=title, title_align="left", expand=False))
        return
    wide.print(parts[0])
    for part in parts[1:]:
        console.print(part)


def _rich_note(note: str) -> Any:
    from rich.text import Text

    return Text.from_ansi(note) if isinstance(note, Styled) else Text(printable(note))


def _rich_table(table: Table, *, titled: bool) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    columns, rows = for_people(table)
    titled = bool(table.title) and titled and not table.framed
    shown = RichTable(
        box=SIMPLE_HEAD,
        title=Text(printable(table.title), style="bold") if titled else None,
        title_justify="left",
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )
    for column in columns:
        shown.add_column(
            Text(column.title),
            justify=column.align,
            style=column.style,
            overflow="fold",
            no_wrap=not column.prose,
        )
    for index, row in enumerate(rows):
        style = table.styles[index] if table.styles else None
        shown.add_row(*(Text(cell) for cell in row), style=style)
    return shown

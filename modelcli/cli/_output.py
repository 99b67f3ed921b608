"""The only place that writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TextIO

from modelcli import __version__
from modelcli.errors import ModelcliError, UsageError
from modelcli.views.table import Column, Table


class Format(StrEnum):
    """How a result is written on stdout."""

    TABLE = "table"
    TSV = "tsv"
    JSON = "json"
    MD = "md"


class Output:
    """Writes one command's result and its remarks, each to its stream.

    Args:
        command: name of the command, for the JSON envelope.
        target: what the command was asked about, or None.
        format: the format of the result; None means a table.
        quiet: leave out remarks and the lines under tables.
        verbose: also write details.
    """

    def __init__(
        self,
        command: str,
        *,
        target: str | None = None,
        format: Format | None = None,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.command = command
        self.target = target
        self.format = format or Format.TABLE
        self.quiet = quiet
        self.verbose = verbose

    def result(self, body: Mapping[str, Any], *tables: Table) -> None:
        """Write the result: the body as JSON, or the tables in the other formats."""
        if self.format is Format.JSON:
            self._write_json(body)
        elif self.format is Format.TSV:
            _write_lines(sys.stdout, tsv_lines(tables))
        elif self.format is Format.MD:
            _write_lines(sys.stdout, md_lines(tables, notes=not self.quiet))
        elif is_terminal(sys.stdout):
            _write_rich(tables, notes=not self.quiet)
        else:
            _write_lines(sys.stdout, plain_lines(tables, notes=not self.quiet))

    def text(self, text: str) -> None:
        """Write text as it is on stdout."""
        _write_lines(sys.stdout, [text])

    def note(self, text: str) -> None:
        """Write a remark on stderr, unless quiet."""
        if not self.quiet:
            _write_lines(sys.stderr, [text])

    def detail(self, text: str) -> None:
        """Write a remark on stderr, only if verbose."""
        if self.verbose and not self.quiet:
            _write_lines(sys.stderr, [text])

    def _write_json(self, body: Mapping[str, Any]) -> None:
        torch = sys.modules.get("torch")
        document = {
            "schema": f"modelcli.{self.command}/1",
            "modelcli": __version__,
            "torch": str(torch.__version__) if torch is not None else None,
            "target": self.target,
            **body,
        }
        _write_lines(sys.stdout, [dump_json(document)])


def dump_json(document: Mapping[str, Any]) -> str:
    """Return a JSON text with one key, or one row of a list, a line; NaN becomes null.

    ``document`` is a mapping. Infinity becomes null too: JSON has neither.
    """
    members = [f"  {_one_line(key)}: {_rows(value)}" for key, value in _finite(document).items()]
    return "{\n" + ",\n".join(members) + "\n}"


def _rows(value: Any) -> str:
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return _one_line(value)
    return "[\n" + ",\n".join(f"    {_one_line(item)}" for item in value) + "\n  ]"


def _one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def write_error(error: ModelcliError) -> None:
    """Write an expected error in two lines on stderr."""
    lines = [("error: ", error.message, "red")]
    if error.hint:
        lines.append(("hint: ", error.hint, "cyan"))
    colour = is_terminal(sys.stderr) and "NO_COLOR" not in os.environ
    for label, text, style in lines:
        one_line = " ".join(text.split())
        shown = f"\x1b[{_ANSI[style]}m{label}\x1b[0m" if colour else label
        _write_lines(sys.stderr, [shown + one_line])


_ANSI = {"red": "1;31", "cyan": "1;36"}


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a person reads this stream."""
    return stream.isatty()


def plain_lines(tables: Sequence[Table], *, notes: bool = True) -> list[str]:
    """Lay tables out as aligned text: no colour, no box, no truncation, one record a line."""
    lines: list[str] = []
    for number, table in enumerate(tables):
        if number:
            lines.append("")
        if table.title and len(tables) > 1 and not table.framed:
            lines.append(table.title)
        lines.extend(_aligned(table))
        if notes and table.notes:
            lines.extend(["", *table.notes])
    return lines


def _aligned(table: Table) -> list[str]:
    columns, rows = _for_people(table)
    grid = [[column.title for column in columns], *rows]
    if not columns:
        return []
    widths = [max(len(line[i]) for line in grid) for i in range(len(columns))]
    return [
        "  ".join(
            cell.rjust(width) if column.align == "right" else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in grid
    ]


def md_lines(tables: Sequence[Table], *, notes: bool = True) -> list[str]:
    """Lay tables out as GitHub Markdown."""
    lines: list[str] = []
    for number, table in enumerate(tables):
        if number:
            lines.append("")
        if table.title and len(tables) > 1 and not table.framed:
            lines.extend([f"**{table.title}**", ""])
        columns, rows = _for_people(table)
        lines.append(_md_row([column.title for column in columns]))
        lines.append(_md_row(["---:" if c.align == "right" else "---" for c in columns]))
        lines.extend(_md_row(row) for row in rows)
        if notes and table.notes:
            lines.extend(["", *(f"{note}  " for note in table.notes)])
    return lines


def _md_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_md_cell(cell) for cell in cells) + " |"


def _md_cell(text: str) -> str:
    indent = len(text) - len(text.lstrip(" "))  # Markdown would drop it, and the tree with it
    return "&nbsp;" * indent + text.lstrip(" ").replace("|", "\\|")


def tsv_lines(tables: Sequence[Table]) -> list[str]:
    """Lay the first table out as tab-separated raw values under the columns' keys."""
    if not tables:
        return []
    table = tables[0]
    kept = [i for i, column in enumerate(table.columns) if column.only != "people"]
    lines = ["\t".join(table.columns[i].key for i in kept)]
    lines.extend("\t".join(_raw(row[i]) for i in kept) for row in table.rows)
    return lines


def _raw(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(item, (list, tuple)) for item in value):
            return ",".join(_raw(item) for item in value)
        joint = "x" if all(isinstance(item, int) for item in value) else ","
        return joint.join(str(item) for item in value)
    return " ".join(str(value).split("\t"))


def _for_people(table: Table) -> tuple[list[Column], list[list[str]]]:
    kept = [i for i, column in enumerate(table.columns) if column.only != "data"]
    columns = [table.columns[i] for i in kept]
    rows = [[table.columns[i].text(row[i]) for i in kept] for row in table.rows]
    return columns, rows


def _write_rich(tables: Sequence[Table], *, notes: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table as RichTable
    from rich.text import Text

    console = console_on(sys.stdout)
    for number, table in enumerate(tables):
        columns, rows = _for_people(table)
        titled = table.title and len(tables) > 1 and not table.framed
        shown = RichTable(
            box=SIMPLE_HEAD,
            title=Text(table.title, style="bold") if titled else None,
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
                no_wrap=column.align == "right",  # a number in two lines is two numbers
            )
        for index, row in enumerate(rows):
            style = table.styles[index] if table.styles else None
            shown.add_row(*(Text(cell) for cell in row), style=style)
        if number:
            console.print()
        parts: list[Any] = [shown]
        if notes and table.notes:
            parts += ["", *(Text.from_ansi(note) for note in table.notes)]
        if table.framed:
            title = Text(table.title, style="bold")
            console.print(Panel(Group(*parts), title=title, title_align="left", expand=False))
        else:
            for part in parts:
                console.print(part)


def console_on(stream: TextIO) -> Any:
    """Return a rich console that adds no colours of its own to what it writes."""
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=False)


def _write_lines(stream: TextIO | None, lines: Iterable[str]) -> None:
    if stream is None or stream.closed:  # the shell closed it: modelcli ... >&-
        if stream is sys.stderr:
            return
        raise UsageError("the output cannot be written: stdout is closed", "leave '>&-' out")
    try:
        stream.write("".join(f"{line}\n" for line in lines))
        stream.flush()
    except BrokenPipeError:
        raise ClosedPipeError from None  # typer would end the process with 1
    except OSError as error:
        _abandon(stream)
        raise UsageError(
            f"the output cannot be written: {error.strerror}", "is the disk full, or read-only?"
        ) from error


class ClosedPipeError(BaseException):
    """Nobody reads the result any more (``| head``); no ``except Exception`` is to stop it."""


def _abandon(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter's last flush cannot complain."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)


def abandon_stdout() -> None:
    """Write nothing more on stdout, whatever is still in its buffer."""
    _abandon(sys.stdout)

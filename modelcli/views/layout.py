"""Tables laid out as lines: aligned text, Markdown, TSV, HTML. No terminal, no stream."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from modelcli.views.table import Table, for_people
from modelcli.views.text import plain_line, printable


def text_lines(tables: Sequence[Table], *, notes: bool = True) -> list[str]:
    """Lay tables out as aligned text: no colour, no box, no truncation, one record a line."""
    lines: list[str] = []
    for number, table in enumerate(tables):
        if number:
            lines.append("")
        if table.title and len(tables) > 1 and not table.framed:
            lines.append(plain_line(table.title))
        lines.extend(_aligned(table))
        if notes and table.notes:
            lines.extend(["", *map(plain_line, table.notes)])
    return lines


def _aligned(table: Table) -> list[str]:
    columns, rows = for_people(table)
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
            lines.extend([f"**{_md_text(table.title)}**", ""])
        columns, rows = for_people(table)
        lines.append(_md_row([column.title for column in columns]))
        lines.append(_md_row(["---:" if c.align == "right" else "---" for c in columns]))
        lines.extend(_md_row(row) for row in rows)
        if notes and table.notes:
            lines.extend(["", *(f"{_md_text(note)}  " for note in table.notes)])
    return lines


def _md_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_md_cell(cell) for cell in cells) + " |"


def _md_cell(text: str) -> str:
    indent = len(text) - len(text.lstrip(" "))  # Markdown would drop it, and the tree with it
    return "&nbsp;" * indent + _md_text(text.lstrip(" ")).replace("|", "\\|")


def _md_text(line: str) -> str:
    """Return a line whose tags, entities and links are text: a layer may be called ``<b>``."""
    text = re.sub(r"&(?=#?\w+;)", "&amp;", plain_line(line))
    return text.replace("<", "&lt;").replace("](", "]\\(")


def tsv_lines(tables: Sequence[Table]) -> list[str]:
    """Lay the first table out as tab-separated raw values under the columns' keys.

    A value is a line: what would break or move it is escaped. Nothing is put before a value that
    begins with ``=``, ``+``, ``-`` or ``@``, which a spreadsheet may take for a formula.
    """
    if not tables:
        return []
    table = tables[0]
    kept = [i for i, column in enumerate(table.columns) if column.in_tsv]
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
        return printable(joint.join(str(item) for item in value))
    return printable(str(value))


def csv_text(table: Table) -> str:
    """Lay one table out as CSV: raw values under the columns' keys."""
    import csv  # not for the command line, which must answer at once
    import io

    kept = [i for i, column in enumerate(table.columns) if column.in_tsv]
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(table.columns[i].key for i in kept)
    writer.writerows([_raw(row[i]) for i in kept] for row in table.rows)
    return held.getvalue()


def html_table(table: Table, *, caption: str = "") -> str:
    """Lay one table out as HTML for a notebook, without its notes.

    Args:
        table: what is to be shown.
        caption: a line above the table, for what must be seen without scrolling.
    """
    from html import escape  # not for the command line, which must answer at once

    columns, rows = for_people(table)
    styles = [f"text-align:{column.align};white-space:pre" for column in columns]
    above = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    head = _html_cells("th", [column.title for column in columns], styles)
    body = "".join(f"<tr>{_html_cells('td', row, styles)}</tr>" for row in rows)
    return f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_cells(tag: str, cells: Sequence[str], styles: Sequence[str]) -> str:
    from html import escape

    return "".join(
        f'<{tag} style="{style}">{escape(cell)}</{tag}>'
        for cell, style in zip(cells, styles, strict=True)
    )

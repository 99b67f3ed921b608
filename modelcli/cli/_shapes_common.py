"""What ``shapes`` does with rows, wherever they come from."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcli.cli import _terminal
from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.errors import UsageError

if TYPE_CHECKING:
    from modelcli.feature_maps.row import MapRow
    from modelcli.views.table import Table

PIPE_WIDTH = 100
NARROW = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is wanted besides or instead of the table.

    Attributes:
        explain: the working in words.
        plot: the pyramid in the terminal.
        path: where the pyramid is written as SVG, or None.
    """

    explain: bool = False
    plot: bool = False
    path: Path | None = None


def terminal_width() -> int | None:
    """Return the columns of the terminal that reads stdout, None where none does."""
    if not _terminal.is_terminal(sys.stdout):
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return NARROW


def wants_data(out: Output) -> bool:
    """Tell whether the format is one for programs, which has more columns."""
    return out.format in (Format.JSON, Format.TSV)


def show_rows(
    out: Output,
    rows: Sequence[MapRow],
    *,
    table: Table,
    body: dict[str, Any],
    show: Picture,
    title: str,
) -> None:
    """Write the rows: the working, the plot, or the table; and the picture, if it is wanted."""
    if show.path is not None:
        _write_picture(out, rows, show.path, title)
    if out.format is not Format.TABLE or not (show.explain or show.plot):
        if show.explain and "rows" in body:
            from modelcli.views.shapes_explain import explain_row

            for row, shown in zip(rows, body["rows"], strict=True):
                shown["steps"] = explain_row(row)
        out.result(body, table)
        return
    parts = []
    if show.explain:
        from modelcli.views.shapes_explain import explain

        parts.append(explain(rows))
    if show.plot:
        from modelcli.views.pyramid import draw_pyramid, levels

        parts.append(draw_pyramid(levels(rows), width=terminal_width() or PIPE_WIDTH))
    out.text("\n\n".join(parts))


def _write_picture(out: Output, rows: Sequence[MapRow], path: Path, title: str) -> None:
    from modelcli.views.pyramid import levels, svg_pyramid

    try:
        path.write_text(svg_pyramid(levels(rows), title=title), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write '{path}': {error.strerror or error}",
            "give -o a path that can be written",
        ) from None
    out.note(f"drawn in {path}")

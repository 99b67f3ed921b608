"""The same model at several input sizes, its feature maps side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.feature_maps.row import MapRow
from modelcli.views.shapes import row_body
from modelcli.views.table import Column, Table
from modelcli.views.text import show_axes, show_dims


def sizes_table(
    labels: Sequence[str], columns: Sequence[Sequence[MapRow]], *, notes: Sequence[str] = ()
) -> Table:
    """Return one row per layer and one output column per input size.

    Args:
        labels: how each size was asked for.
        columns: the rows of each size. A layer that did not run at a size is left empty there.
        notes: lines to print below.
    """
    known = [_by_path(rows) for rows in columns]
    paths = dict.fromkeys(key for rows in sorted(known, key=len, reverse=True) for key in rows)
    cells = []
    for key in paths:
        found = [rows.get(key) for rows in known]
        ran = [row for row in found if row is not None]
        fields = list(dict.fromkeys(show_axes(row.receptive_field) for row in ran))
        outputs = [None if row is None else list(row.result.output_shape) for row in found]
        cells.append((ran[0].path, ran[0].type, " / ".join(fields), *outputs))
    return Table(
        columns=(
            Column(key="path", title="layer"),
            Column(key="type", title="type", style="cyan"),
            Column(key="receptive_field", title="field", align="right", style="green"),
            *(Column(key=label, title=label, show=show_dims) for label in labels),
        ),
        rows=tuple(cells),
        notes=tuple(notes),
        title="feature maps",
    )


def sizes_body(labels: Sequence[str], columns: Sequence[Sequence[MapRow]]) -> dict[str, Any]:
    """Return the rows of every size as JSON; ``rows`` are those of the first."""
    bodies = [[row_body(row) for row in rows] for rows in columns]
    return {
        "rows": bodies[0] if bodies else [],
        "sizes": [
            {"input": label, "rows": rows} for label, rows in zip(labels, bodies, strict=True)
        ],
    }


def _by_path(rows: Sequence[MapRow]) -> dict[tuple[str, int], MapRow]:
    """Return the rows by path and turn: a layer that runs twice counts twice."""
    found: dict[tuple[str, int], MapRow] = {}
    turns: dict[str, int] = {}
    for row in rows:
        turns[row.path] = turns.get(row.path, -1) + 1
        found[row.path, turns[row.path]] = row
    return found

"""The whole result of ``params``: the rows or groups of a target, and what is said below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.tensors.groups import group_rows
from modelcli.tensors.open import Opened
from modelcli.tensors.rows import ParamRow, sum_rows
from modelcli.views.params import params_body, params_table
from modelcli.views.params_files import checkpoint_body, checkpoint_lines
from modelcli.views.params_groups import groups_body, groups_table
from modelcli.views.params_stats import stats_tables
from modelcli.views.table import Table
from modelcli.views.text import plural


def result_body(
    opened: Opened, rows: Sequence[ParamRow], *, group: int | None = None
) -> dict[str, Any]:
    """Return the JSON document; ``group`` is the depth to which modules are summed."""
    body = params_body(rows, sum_rows(rows))
    if group is not None:
        body |= groups_body(group_rows(rows, group))
    if opened.checkpoint is not None:
        body |= checkpoint_body(opened.checkpoint)
    else:
        body["totals"]["packed_params"] = opened.packed
    return body


def result_tables(
    opened: Opened,
    rows: Sequence[ParamRow],
    notes: Sequence[str],
    *,
    group: int | None = None,
    stats: bool = False,
) -> list[Table]:
    """Return the table of groups, of statistics or of tensors, with ``notes`` below it."""
    totals = sum_rows(rows)
    if opened.checkpoint is not None:
        notes = [*notes, *checkpoint_lines(opened.checkpoint)]
    if group is not None:
        return [groups_table(group_rows(rows, group), rows, totals, notes=notes)]
    if stats:
        return stats_tables(rows, totals, notes=notes)
    return [params_table(rows, totals, notes=notes)]


def target_lines(opened: Opened, *, buffers: bool) -> list[str]:
    """Say what the model has besides the rows."""
    notes = []
    if opened.model is not None and not opened.rows:
        notes.append(
            "the model has no parameters; what stands in a plain list or dict is not registered: "
            f"'modelcli check {opened.target.text}' looks for it"
        )
    hidden = 0 if buffers else sum(row.kind == "buffer" for row in opened.rows)
    if hidden:
        notes.append(f"{plural(hidden, 'buffer')} not listed (--buffers)")
    if opened.packed:
        notes.append(
            f"{opened.packed:,} more are packed in quantised layers, which have no named parameters"
        )
    return notes

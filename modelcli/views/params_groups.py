"""Sums over modules as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.tensors.groups import Group
from modelcli.tensors.rows import ParamRow, Totals
from modelcli.views.params import totals_lines
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import show_bytes, show_count

_BAR_WIDTH = 16
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def groups_body(groups: Sequence[Group]) -> dict[str, Any]:
    """Return what JSON has beside the rows."""
    return {"groups": json_rows(_columns(groups), groups)}


def groups_table(
    groups: Sequence[Group], rows: Sequence[ParamRow], totals: Totals, *, notes: Sequence[str] = ()
) -> Table:
    """Return one row per group, with its share and a bar."""
    notes = (*totals_lines(rows, totals), *notes)
    return table_of(_columns(groups), groups, notes=notes, spare=("bar", "bytes", "tensors"))


def _columns(groups: Sequence[Group]) -> tuple[Column, ...]:
    largest = max((group.share for group in groups), default=0.0)
    return (
        Column(key="prefix", title="module", show=lambda prefix: prefix or "(model)"),
        Column(key="tensors", title="tensors", align="right", show=show_count),
        Column(key="numel", title="count", align="right", show=show_count),
        Column(key="bytes", title="bytes", align="right", show=show_bytes),
        Column(key="share", title="share", align="right", show=lambda share: f"{share:.1%}"),
        Column(
            key="bar",
            title="",
            get=lambda g: bar(g.share / largest if largest else 0.0),
            only="people",
        ),
    )


def bar(share: float) -> str:
    """Draw a bar of up to 16 blocks, to an eighth of a block."""
    eighths = round(share * _BAR_WIDTH * 8)
    whole, part = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[part] if part else "")

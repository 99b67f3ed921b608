"""Sums over modules as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from modelcli.tensors.groups import Group
from modelcli.tensors.rows import ParamRow, Totals
from modelcli.views.params import printable, totals_lines
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import show_bytes, show_count

_BAR_WIDTH = 16
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def groups_body(groups: Sequence[Group]) -> dict[str, Any]:
    """Return what JSON has beside the rows."""
    return {"groups": [asdict(group) for group in groups]}


def groups_table(
    groups: Sequence[Group], rows: Sequence[ParamRow], totals: Totals, *, notes: Sequence[str] = ()
) -> Table:
    """Return one row per group, with its share and a bar."""
    largest = max((group.share for group in groups), default=0.0)
    columns = (
        Column(key="prefix", title="module", get=lambda g: printable(g.prefix) or "(model)"),
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
    return table_of(columns, groups, notes=(*totals_lines(rows, totals), *notes))


def bar(share: float) -> str:
    """Draw a bar of up to 16 blocks, to an eighth of a block."""
    eighths = round(share * _BAR_WIDTH * 8)
    whole, part = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[part] if part else "")

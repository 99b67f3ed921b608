"""What other optimisers, types and checkpointing would take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.ledger.record import WhatIf
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import show_bytes


def what_if_columns(rows: Sequence[WhatIf]) -> tuple[Column, ...]:
    """Return the columns of the table of choices."""
    judged = any(row.verdict for row in rows)

    def figure(key: str, title: str) -> Column:
        return Column(key=key, title=title, show=show_bytes, align="right", style="green")

    return (
        Column(key="optimizer", title="optimizer"),
        Column(key="dtype", title="type"),
        Column(key="checkpoint", title="checkpointed", show=lambda names: ", ".join(names) or "-"),
        figure("peak_bytes", "peak"),
        figure("reserved_bytes", "reserved"),
        figure("state_bytes", "state"),
        figure("saved_bytes", "saved"),
        Column(key="verdict", title="verdict", only=None if judged else "json"),
        Column(key="largest", title="largest batch", align="right", only=None if judged else "json",
               show=lambda batch: f"{batch:,}"),
    )  # fmt: skip


def what_if_table(rows: Sequence[WhatIf]) -> Table:
    """Return a row for each choice."""
    return table_of(what_if_columns(rows), rows, spare=("state_bytes", "saved_bytes"))


def what_if_body(rows: Sequence[WhatIf]) -> dict[str, Any]:
    """Return the JSON document of the choices, without its envelope."""
    return {"what_if": json_rows(what_if_columns(rows), rows)}

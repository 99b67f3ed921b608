"""What a model was expected to be, beside what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.expecting import NUMBERS, Verdict
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import show_count


def expectations_table(verdicts: Sequence[Verdict]) -> Table:
    """Return one row an expectation."""
    return table_of(
        _COLUMNS, verdicts, title="expectations",
        styles=tuple("" if verdict.holds else "red" for verdict in verdicts),
    )  # fmt: skip


def expectations_body(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return what JSON has beside the keys of a summary."""
    return {"expectations": json_rows(_COLUMNS, verdicts)}


def describe_failures(verdicts: Sequence[Verdict]) -> str:
    """Return what is not as expected, in a line."""
    return "; ".join(
        f"{verdict.key} is {_show(verdict.found)}, expected {_show(verdict.expected)}"
        for verdict in verdicts
        if not verdict.holds
    )


def _show(value: Any) -> str:
    if isinstance(value, dict):
        low, high = value.get("min"), value.get("max")
        parts = [f"at least {_show(low)}" if low is not None else "",
                 f"at most {_show(high)}" if high is not None else ""]  # fmt: skip
        return ", ".join(part for part in parts if part)
    if isinstance(value, list):
        texts = [" = ".join(item) if isinstance(item, list) else str(item) for item in value]
        return ", ".join(texts) or "none"
    return show_count(value) if isinstance(value, int) else str(value)


def _difference(verdict: Verdict) -> int | float | None:
    """Return how far a number is from what was expected, or from the bound that it breaks."""
    expected, found = verdict.expected, verdict.found
    if verdict.key not in NUMBERS or found is None or verdict.holds:
        return None
    if isinstance(expected, dict):
        low, high = expected.get("min"), expected.get("max")
        expected = low if low is not None and found < low else high
    difference: int | float = found - expected
    return difference


_COLUMNS = (
    Column(key="key", title="key"),
    Column(key="expected", title="expected", show=_show, align="right"),
    Column(key="found", title="found", show=_show, align="right"),
    Column(key="difference", title="difference", get=_difference, align="right",
           show=lambda value: f"{value:+,}"),
    Column(key="holds", title="", show=lambda holds: "" if holds else "differs"),
)  # fmt: skip

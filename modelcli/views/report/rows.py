"""What ``report`` says of the page that it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelcli.views.failure import error_body
from modelcli.views.report.content import Content
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import show_bytes

_COLUMNS = (
    Column(key="section", title="section"),
    Column(key="entries", title="entries", align="right"),
)


def _rows(content: Content) -> list[dict[str, Any]]:
    return [{"section": name, "entries": count} for name, count in content.sections]


def report_table(content: Content, path: Path, size_bytes: int) -> Table:
    """Return a row per section of the page."""
    notes = (f"wrote {path}, {show_bytes(size_bytes)}: open it in a browser",)
    return table_of(_COLUMNS, _rows(content), notes=notes)


def report_body(content: Content, path: Path, size_bytes: int) -> dict[str, Any]:
    """Return the JSON document's own keys."""
    return {
        "file": str(path),
        "file_bytes": size_bytes,
        "title": content.heading,
        "sections": json_rows(_COLUMNS, _rows(content)),
        "error": error_body(content.trace.failure),
    }

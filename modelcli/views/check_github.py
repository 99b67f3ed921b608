"""Findings as annotations that GitHub shows beside the code."""

from __future__ import annotations

from modelcli.checks.record import Report, Severity
from modelcli.views.check import show_place
from modelcli.views.text import printable

_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def github_lines(report: Report) -> list[str]:
    """Return the findings as annotations that GitHub shows beside the code."""
    lines = []
    for finding in report.findings:
        properties = []
        if finding.place is not None:
            file = show_place(finding.place).rpartition(":")[0]
            properties = [f"file={_property(file)}", f"line={finding.place.line}"]
        properties.append(f"title={_property(f'{finding.rule} {finding.title}')}")
        where = f"{finding.path}: " if finding.path else ""
        parts = (f"{where}{finding.message}", finding.why, finding.fix)
        text = "\n".join(map(printable, parts))
        lines.append(f"::{_GITHUB[finding.severity]} {','.join(properties)}::{_data(text)}")
    return lines


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")

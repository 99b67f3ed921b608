"""What a check found, as a table, as JSON and as people read it."""

from __future__ import annotations

import os
from typing import Any

from modelcli.checks.record import Finding, Place, Report, Severity
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import Styled, plural, printable

_CODES = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.INFO: "1;36"}  # of ANSI


_FINDING = (
    Column(key="rule", title="rule", style="bold"),
    Column(key="severity", title="severity", get=lambda finding: str(finding.severity)),
    Column(key="path", title="where", show=lambda path: path or "(model)"),
    Column(key="message", title="what", prose=True),
    Column(key="line", title="line", get=lambda finding: show_place(finding.place), only="text"),
    Column(key="why", title="why", prose=True),
    Column(key="fix", title="instead", prose=True),
    Column(key="title", title="title", only="json"),
    Column(key="file", title="file", get=lambda f: f.place.file if f.place else None, only="json"),
    Column(key="line", title="line", get=lambda f: f.place.line if f.place else None, only="json"),
)


def findings_table(report: Report) -> Table:
    """Return one row per finding."""
    return table_of(_FINDING, report.findings, notes=(describe(report),), spare=("line", "why"))


def show_place(place: Place | None) -> str:
    """Write a place as editors take it, from where one is: ``net.py:12``, ``../net.py:12``."""
    if place is None:
        return ""
    relative = os.path.relpath(place.file)
    file = min(relative, place.file, key=len)
    return f"{file}:{place.line}"


def finding_lines(report: Report, *, width: int, colour: bool) -> list[str]:
    """Return the findings as people read them: what, where, why, and what to write instead."""
    lines: list[str] = []
    for number, finding in enumerate(report.findings):
        following = report.findings[number + 1 : number + 2]
        last = not following or (following[0].rule, following[0].fix) != (finding.rule, finding.fix)
        lines.extend(_finding_lines(finding, width, colour, explain=last))
        lines.append("")
    lines.append(describe(report))
    return lines


def _finding_lines(finding: Finding, width: int, colour: bool, *, explain: bool) -> list[str]:
    """Lay one finding out; of several alike only the last says why and what to do."""
    where = f"'{finding.path}'" if finding.path else "the model"
    severity = f"{finding.severity} {finding.rule}"
    lines = _wrapped(f"{severity}  {finding.title}: {where}", width, first="")
    if colour:
        rest = lines[0].removeprefix(severity)
        lines[0] = Styled(f"\x1b[{_CODES[finding.severity]}m{severity}\x1b[0m{rest}")
    lines.extend(_wrapped(finding.message, width))
    if finding.place is not None:
        at = f"    at       {show_place(finding.place)}"
        code = finding.place.code
        if len(at) + 2 + len(code) > width:  # a line of code goes below rather than be broken
            lines += [at, *([f"    {code}"] if code else [])]
        else:
            lines.append(f"{at}  {code}".rstrip())
    if explain:
        lines.extend(_wrapped(finding.why, width, "why"))
        lines.extend(_wrapped(finding.fix, width, "instead"))
    return lines


def _wrapped(text: str, width: int, label: str = "", *, first: str | None = None) -> list[str]:
    """Break a text between its words; ``first`` begins its first line in place of the indent."""
    import textwrap

    indent = f"    {label:8} " if label else "    "
    return textwrap.wrap(
        printable(text),
        width=max(40, width),
        initial_indent=indent if first is None else first,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )


def describe(report: Report) -> str:
    """Return one line that sums a report up."""
    counts = [
        # "info" has no plural
        f"{n} info" if severity is Severity.INFO else plural(n, str(severity))
        for severity in Severity
        if (n := report.count(severity))
    ]
    found = ", ".join(counts) or "nothing found"
    left_out = len(report.rules_skipped) - len(report.faults)
    skipped = f", {left_out} skipped" if left_out else ""
    failed = f", {len(report.faults)} failed" if report.faults else ""
    return f"{found}; {plural(len(report.rules_run), 'rule')} run{skipped}{failed}"


def skipped_lines(report: Report) -> list[str]:
    """Return why rules did not run, rules with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for rule, reason in report.rules_skipped.items():
        reasons.setdefault(reason, []).append(rule)
    return [f"skipped {', '.join(rules)}: {reason}" for reason, rules in reasons.items()]


def fault_lines(report: Report) -> list[str]:
    """Return which rules failed by their own fault, so that "nothing found" is not all they say."""
    return [f"note: {rule} gave no answer: {reason}" for rule, reason in report.faults.items()]


def check_body(report: Report) -> dict[str, Any]:
    """Return the JSON document's own keys."""
    return {
        "findings": json_rows(_FINDING, report.findings),
        "counts": {str(severity): report.count(severity) for severity in Severity},
        "execution": report.execution or None,
        "rules_run": list(report.rules_run),
        "rules_skipped": dict(report.rules_skipped),
    }

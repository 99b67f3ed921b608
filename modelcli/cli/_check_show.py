"""How ``check`` writes: findings in every format, the list of rules, the page of one."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.cli._terminal import is_styled, wants_colour

if TYPE_CHECKING:
    from modelcli.checks.record import Report


def show_rules(out: Output, explain: str | None) -> None:
    """Write the list of rules, or the page of one."""
    from modelcli.checks.catalogue import all_rules, get_rule
    from modelcli.views.check_rules import rule_page, rules_body, rules_table

    if explain is None:
        found = all_rules()
        out.result(rules_body(found), rules_table(found))
        return
    rule = get_rule(explain)
    if out.format is Format.JSON:
        out.result({**rules_body([rule])["rules"][0], "wrong": rule.wrong, "right": rule.right})
    else:
        out.text(rule_page(rule).rstrip())


def show_report(out: Output, report: Report) -> None:
    """Write what was found; the rules that gave no answer are told on stderr."""
    from modelcli.views import check as view
    from modelcli.views.check_github import github_lines

    if out.format is Format.GITHUB:
        lines = github_lines(report)
        if lines:
            out.text("\n".join(lines))
    elif out.format is Format.TABLE and is_styled(sys.stdout):
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        for line in view.finding_lines(report, width=width, colour=wants_colour(sys.stdout)):
            out.text(line)
    elif out.format is Format.TABLE and not report.findings:
        out.text(view.describe(report))
    else:
        body = view.check_body(report) if out.format is Format.JSON else {}
        out.result(body, view.findings_table(report))
    for line in view.fault_lines(report):
        out.note(line)
    for line in view.skipped_lines(report):
        out.detail(line)

"""The rules of a check: their list, and the page of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelcli.checks.rule import Rule, example_command
from modelcli.views.table import Column, Table, json_rows, table_of

_NEEDS = {
    "module": "the module",
    "pass": "a pass, no memory",
    "values": "a pass with values",
    "labels": "a loss",
    "training": "--train",
}
_RULE = (
    Column(key="rule", title="rule", get=lambda rule: rule.id, style="bold"),
    Column(key="severity", title="severity", get=lambda rule: str(rule.severity)),
    Column(key="title", title="what is wrong", prose=True),
    Column(key="needs", title="needs", show=lambda needs: _NEEDS[needs]),
    Column(key="why", title="why", only="json"),
    Column(key="fix", title="instead", only="data"),
)


def rules_table(rules: Iterable[type[Rule]]) -> Table:
    """Return one row per rule."""
    notes = ("'modelcli check --explain MC101' is a page with a wrong and a right example",)
    return table_of(_RULE, rules, notes=notes, spare=("needs",))


def rules_body(rules: Iterable[type[Rule]]) -> dict[str, Any]:
    """Return the JSON document's own keys for the list of rules."""
    return {"rules": json_rows(_RULE, rules)}


def rule_page(rule: type[Rule]) -> str:
    """Return a rule's page in Markdown."""
    parts = [
        f"# {rule.id}: {rule.title}",
        f"Severity: {rule.severity}. Needs {_NEEDS[rule.needs]}.",
        rule.why,
        f"**Instead.** {rule.fix}",
    ]
    if rule.justified:
        parts.append(f"**When it is meant.** {rule.justified}")
    parts += [
        "## Wrong",
        f"```python\n{rule.wrong.strip()}\n```",
        "## Right",
        f"```python\n{rule.right.strip()}\n```",
        f"`{example_command(rule)}` tells them apart; `--ignore {rule.id}` silences the rule.",
    ]
    return "\n\n".join(parts) + "\n"

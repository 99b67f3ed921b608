"""All rules. Imports no torch."""

from __future__ import annotations

import importlib

from modelcli.checks.rule import Rule
from modelcli.errors import UsageError, suggest

FAMILIES = {
    "MC0": ("Running", "failing"),
    "MC1": ("Registration", "registration"),
    "MC2": ("Use", "usage"),
    "MC3": ("Modes and randomness", "modes"),
    "MC4": ("Batch", "batch"),
    "MC5": ("Numbers", "numbers"),
    "MC6": ("Structure", "structure"),
    "MC7": ("Training", "learning"),
}


def all_rules() -> tuple[type[Rule], ...]:
    """Return every rule, in the order of the ids."""
    rules: list[type[Rule]] = []
    for _, name in FAMILIES.values():
        rules.extend(importlib.import_module(f"modelcli.checks.rules.{name}").RULES)
    return tuple(rules)


def get_rule(name: str) -> type[Rule]:
    """Return the rule of an id.

    Raises:
        UsageError: there is none.
    """
    table = {rule.id: rule for rule in all_rules()}
    wanted = name.strip().upper()
    if wanted not in table:
        close = suggest(wanted, list(table))
        did = f"did you mean {close}? " if close else ""
        raise UsageError(f"there is no rule '{name}'", f"{did}'modelcli check --rules' lists all")
    return table[wanted]

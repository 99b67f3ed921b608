"""All rules: our own and those of other installed packages. Imports no torch.

A package adds its rules through an entry point of the group ``modelcli.checks``, which names a
Rule or a tuple of them; ours are found in the same way::

    [project.entry-points."modelcli.checks"]
    acme = "acme.rules:RULES"
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import get_args

from modelcli.checks.rule import Needs, Rule
from modelcli.errors import UsageError, did_you_mean

ENTRY_POINT_GROUP = "modelcli.checks"

# What the ids of a family begin with: its title, and where its rules are.
FAMILIES = {
    "MC0": ("Running", "modelcli.checks.rules.failing:RULES"),
    "MC1": ("Registration", "modelcli.checks.rules.registration:RULES"),
    "MC2": ("Use", "modelcli.checks.rules.usage:RULES"),
    "MC3": ("Modes and randomness", "modelcli.checks.rules.modes:RULES"),
    "MC4": ("Batch", "modelcli.checks.rules.batch:RULES"),
    "MC5": ("Numbers", "modelcli.checks.rules.numbers:RULES"),
    "MC6": ("Structure", "modelcli.checks.rules.structure:RULES"),
    "MC7": ("Training", "modelcli.checks.rules.learning:RULES"),
}
_SAID_BY_A_RULE = ("id", "title", "why", "fix", "wrong", "right", "input")


def own_rules() -> tuple[type[Rule], ...]:
    """Return the rules of modelcli, in the order of the ids."""
    points = [EntryPoint(name, value, ENTRY_POINT_GROUP) for name, (_, value) in FAMILIES.items()]
    return tuple(rule for point in points for rule in _rules_of(point.load()))


def all_rules() -> tuple[type[Rule], ...]:
    """Return every rule: modelcli's in the order of the ids, then those of other packages.

    What another package brings and cannot be used is named in a warning and left out: it must not
    take the others with it.
    """
    known = {rule.id: rule for rule in own_rules()}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            for rule in _rules_of(point.load()):
                _require_usable(rule, known)
                known[rule.id] = rule
        except Exception as error:  # whatever another package's import raises
            warnings.warn(
                f"rules of the entry point '{point.name}' ({point.value}) are left out: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
    return tuple(known.values())


def _rules_of(found: object) -> Iterator[type[Rule]]:
    if inspect.isclass(found) or not isinstance(found, Iterable):
        found = (found,)
    for rule in found:
        if not (inspect.isclass(rule) and issubclass(rule, Rule)):
            raise TypeError(f"{rule!r} is no subclass of modelcli.checks.rule.Rule")
        yield rule


def _require_usable(rule: type[Rule], known: dict[str, type[Rule]]) -> None:
    """Check what a class of another package says of itself.

    Raises:
        ValueError: it lacks something, or its id is taken.
    """
    missing = [name for name in _SAID_BY_A_RULE if not isinstance(getattr(rule, name, None), str)]
    if missing:
        raise ValueError(f"{rule.__name__} does not set {', '.join(missing)}")
    if not re.fullmatch(r"[A-Z]+[0-9]+", rule.id):
        raise ValueError(f"the id '{rule.id}' is not capitals and digits, as ACME101")
    if rule.id in known:
        raise ValueError(f"the id '{rule.id}' is taken by {known[rule.id].__module__}")
    if rule.needs not in get_args(Needs):
        raise ValueError(f"{rule.id} needs '{rule.needs}', which is none of {get_args(Needs)}")


def get_rule(name: str) -> type[Rule]:
    """Return the rule of an id.

    Raises:
        UsageError: there is none.
    """
    table = {rule.id: rule for rule in all_rules()}
    wanted = name.strip().upper()
    if wanted not in table:
        raise UsageError(
            f"there is no rule '{name}'",
            f"{did_you_mean(wanted, list(table))}'modelcli check --rules' lists all",
        )
    return table[wanted]

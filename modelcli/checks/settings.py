"""Which rules run: the table of pyproject.toml and the command line. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.checks.catalogue import all_rules
from modelcli.errors import ConfigError, UsageError, did_you_mean
from modelcli.files import parse_toml, read_limited

_KEYS = ("select", "ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChoice:
    """What ``[tool.modelcli.check]`` says."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def read_pyproject(folder: Path) -> RuleChoice:
    """Return the table of the nearest pyproject.toml, looking upwards from a folder.

    Raises:
        ConfigError: the file is no TOML, or the table has an unknown key or a wrong value.
    """
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if os.path.isfile(path):
            return _read(path)
    return RuleChoice()


def _read(path: Path) -> RuleChoice:
    try:
        document = parse_toml(read_limited(path, ConfigError).decode("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{path}' cannot be read: {error}", "is it valid TOML?") from error
    table: Any = document
    for key in ("tool", "modelcli", "check"):
        table = table.get(key, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"[tool.modelcli.check] of '{path}' is no table", "write it as a table")
    for key in table:
        if key not in _KEYS:
            raise ConfigError(
                f"[tool.modelcli.check] of '{path}' has an unknown key '{key}'",
                f"{did_you_mean(key, _KEYS)}it takes {' and '.join(_KEYS)}",
            )
    return RuleChoice(
        select=_names(table, "select", path),
        ignore=_names(table, "ignore", path),
    )


def _names(table: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(
            f"'{key}' in [tool.modelcli.check] of '{path}' is {value!r}",
            f'give a list of rules: {key} = ["MC105", "MC6"]',
        )
    return tuple(item.strip().upper() for item in value)


def split_names(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Return the rules of ``--select MC101,MC2 --select MC301``."""
    return tuple(
        name.strip().upper() for text in texts or () for name in text.split(",") if name.strip()
    )


def check_names(names: Sequence[str], known: Sequence[str]) -> None:
    """Check that every name is a rule or the beginning of one.

    Raises:
        UsageError: a name that fits no rule.
    """
    for name in names:
        if name != "ALL" and not any(rule.startswith(name) for rule in known):
            raise UsageError(
                f"there is no rule '{name}'",
                f"{did_you_mean(name, known)}give an id as MC101, or a family as MC1; "
                "'modelcli check --rules' lists all",
            )


def choose_rules(
    select: Iterable[str] | None, ignore: Iterable[str] | None, folder: Path
) -> RuleChoice:
    """Return which rules run: what was given before the table of pyproject.toml, each for itself.

    Args:
        select: as ``--select`` takes them, each perhaps several with commas between.
        ignore: likewise.
        folder: where the user is; pyproject.toml is looked for from there upwards.

    Raises:
        UsageError: a name that fits no rule.
        ConfigError: what is wrong with the file.
    """
    table = read_pyproject(folder)
    chosen = RuleChoice(
        select=split_names(select) or table.select, ignore=split_names(ignore) or table.ignore
    )
    check_names((*chosen.select, *chosen.ignore), [rule.id for rule in all_rules()])
    return chosen


def is_chosen(rule: str, select: Sequence[str], ignore: Sequence[str]) -> bool:
    """Tell whether a rule runs; the longer prefix wins, and ignore wins a draw."""
    chosen = _longest(rule, select) if select else 0
    return chosen > _longest(rule, ignore)


def _longest(rule: str, names: Sequence[str]) -> int:
    """Return the length of the longest name that a rule begins with, -1 if there is none."""
    lengths = [0 if name == "ALL" else len(name) for name in names]
    fits = [
        length
        for name, length in zip(names, lengths, strict=True)
        if name == "ALL" or rule.startswith(name)
    ]
    return max(fits, default=-1)

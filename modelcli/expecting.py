"""What a model is expected to be, in a file: read, held against what is found, written anew.

A file has a table a target, so that one file speaks of all models of a project:

    ["net.py:Net"]
    params = 61706
    macs = { max = 500_000_000 }
    ties = [["encoder.weight", "decoder.weight"]]
    check_errors = 0

A number is exact or has bounds. Imports no torch.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.errors import ConfigError, did_you_mean
from modelcli.files import parse_toml, read_limited, write_whole
from modelcli.tracing.record import Trace

KEYS = (
    "inputs", "params", "trainable_params", "buffers", "macs", "uncounted", "ties", "peak_bytes",
    "check_errors",
)  # fmt: skip
NUMBERS = ("params", "trainable_params", "buffers", "macs", "peak_bytes", "check_errors")
WRITTEN = ("inputs", "params", "trainable_params", "macs", "uncounted", "ties", "check_errors")
"""What a new table gets."""
_BOUNDS = {"min", "max"}
_FIRST_LINE = "# What models are expected to be: modelcli summary TARGET --expect FILE [--update]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One expectation and what was found.

    Attributes:
        key: what is expected to be so.
        expected: the value, or its bounds.
        found: what is so.
        holds: whether the two agree.
    """

    key: str
    expected: Any
    found: Any
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A table of a file.

    Attributes:
        path: of the file.
        target: whose table it is.
        expected: what stands in it.
        update: whether it is to be written anew.
    """

    path: Path
    target: str
    expected: Mapping[str, Any]
    update: bool = False


def facts_of(
    trace: Trace, *, check_errors: int | None = None, peak_bytes: int | None = None
) -> dict[str, Any]:
    """Return what is so, by the keys of a file; what was not asked for is None.

    Args:
        trace: one observed pass.
        check_errors: findings of ``check`` of severity error.
        peak_bytes: of the pass.
    """
    totals = trace.totals
    return {
        "inputs": [f"{r.name}:{r.dtype}:{'x'.join(map(str, r.shape))}" for r in trace.inputs],
        "params": totals.params,
        "trainable_params": totals.trainable_params,
        "buffers": totals.buffers,
        "macs": totals.macs,
        "uncounted": sorted(trace.coverage.uncounted),
        "ties": [list(names) for names in trace.ties],
        "peak_bytes": peak_bytes,
        "check_errors": check_errors,
    }


def read_expectations(path: Path, target: str, *, may_lack: bool = False) -> dict[str, Any]:
    """Return what a file expects of a target.

    Args:
        path: of the file.
        target: whose table is wanted.
        may_lack: an absent file or table is empty, and no mistake.

    Raises:
        ConfigError: no such file or table, or something in it is wrong.
    """
    hint = "--update writes what is found now"
    if not os.path.exists(path) and may_lack:
        return {}
    try:
        document = parse_toml(read_limited(path, ConfigError).decode("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"file '{path}' does not exist", hint) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"'{path}' cannot be read: {error}", "it is a TOML file") from error
    if target not in document:
        if may_lack:
            return {}
        did = did_you_mean(target, document)
        raise ConfigError(f"'{path}' expects nothing of '{target}'", did + hint)
    table = document[target]
    if not isinstance(table, dict):
        raise ConfigError(f"'{path}': {target} is no table", f'write ["{target}"] above its keys')
    for key, value in table.items():
        _check(key, value, f"'{path}': {target}.{key}")
    return table


def _check(key: str, value: Any, place: str) -> None:
    if key not in KEYS:
        did = did_you_mean(key, KEYS)
        raise ConfigError(f"{place} is unknown", f"{did}the keys are {', '.join(KEYS)}")
    if key in NUMBERS:
        numbers = list(value.values()) if isinstance(value, dict) else [value]
        named = not isinstance(value, dict) or (value and value.keys() <= _BOUNDS)
        if not named or not all(type(number) in (int, float) for number in numbers):
            raise ConfigError(f"{place} is {value!r}", "give a number, or { min = ..., max = ... }")
    elif not isinstance(value, list):
        raise ConfigError(f"{place} is {value!r}", "give a list")


def judge(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[Verdict]:
    """Hold what is expected against what is found."""
    return [
        Verdict(key=key, expected=value, found=found[key], holds=_holds(key, value, found[key]))
        for key, value in expected.items()
    ]


def _holds(key: str, expected: Any, found: Any) -> bool:
    if isinstance(expected, dict):
        low, high = expected.get("min"), expected.get("max")
        return (
            found is not None and (low is None or found >= low) and (high is None or found <= high)
        )
    if key == "ties":
        return _as_sets(expected) == _as_sets(found)
    return bool(expected == found)


def _as_sets(groups: Any) -> set[frozenset[str]]:
    return {frozenset(map(str, group)) for group in groups if isinstance(group, list)}


def update_expectations(path: Path, target: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Write what is found into a target's table, and return the table.

    Bounds that hold stay bounds; a new table gets the usual keys; comments on lines of their own,
    other keys' order and other tables are left as they are.

    Raises:
        ConfigError: the file cannot be read or written, or a bound does not hold.
    """
    before = read_expectations(path, target, may_lack=True)
    keys = list(before) or [key for key in WRITTEN if found.get(key) not in (None, [])]
    after: dict[str, Any] = {}
    for key in keys:
        value = before.get(key)
        if isinstance(value, dict) and not _holds(key, value, found[key]):
            raise ConfigError(
                f"{key} is {found[key]:,}, outside of {_toml(value)}",
                f"a bound is not updated: change it in '{path}' if it is to be another",
            )
        after[key] = value if isinstance(value, dict) else found[key]
    text = path.read_text(encoding="utf-8") if os.path.exists(path) else f"{_FIRST_LINE}\n"
    try:
        write_whole(path, _with_table(text, target, after).encode())
    except OSError as error:
        raise ConfigError(
            f"'{path}' cannot be written: {error.strerror}", "name another file"
        ) from error
    return after


def _with_table(text: str, target: str, values: Mapping[str, Any]) -> str:
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if _heads(line, target)), None)
    if start is None:
        body = [f"{key} = {_toml(value)}" for key, value in values.items()]
        return "\n".join([*lines, "", f"[{json.dumps(target)}]", *body, ""])
    end = next(
        (i for i in range(start + 1, len(lines)) if _header(lines[i]) is not None), len(lines)
    )
    inside = lines[start + 1 : end]
    for key, value in values.items():
        inside = _with_value(inside, key, f"{key} = {_toml(value)}")
    return "\n".join([*lines[: start + 1], *inside, *lines[end:], ""])


def _with_value(lines: list[str], key: str, line: str) -> list[str]:
    """Put a line in the place of a key's, which may go on over several."""
    for first in range(len(lines)):
        if lines[first].lstrip().startswith("#"):
            continue
        for last in range(first, len(lines)):
            found = _parsed("\n".join(lines[first : last + 1]))
            if found is not None and list(found) == [key]:
                return [*lines[:first], line, *lines[last + 1 :]]
            if found:
                break  # another key's
    return [*lines, line]


def _header(line: str) -> str | None:
    """Return the name of the table that a line begins; None for every other line."""
    found = _parsed(line)
    if found is None or not line.lstrip().startswith("[") or len(found) != 1:
        return None
    return next(iter(found))


def _heads(line: str, target: str) -> bool:
    return _header(line) == target


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError:
        return None


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {number}" for key, number in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)

"""A configuration written as TOML, with the source of every value that is not a default."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from modelcli.config.keys import KEYS, SECTIONS

if TYPE_CHECKING:
    from modelcli.config.load import Resolved

_BARE_KEY = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def dump_config(resolved: Resolved) -> str:
    """Return the TOML of a resolved configuration; reading it gives the same configuration.

    A key without a value (TOML has no None) is written as a comment.
    """
    lines = [
        line for section in SECTIONS for line in (f"[{section}]", *_section(resolved, section), "")
    ]
    return "\n".join(lines[:-1]) + "\n"


def _section(resolved: Resolved, section: str) -> Iterator[str]:
    values = getattr(resolved.config, section)
    names = [item.name for item in fields(SECTIONS[section]) if item.name != "kwargs"]
    for name in names:
        yield _line(name, getattr(values, name), resolved.sources.get(f"{section}.{name}"))
    kwargs: Mapping[str, object] = getattr(values, "kwargs", {})
    for name, value in kwargs.items():
        # an argument that shares a key's name is told apart by the table it stands in
        written = f"kwargs.{_key(name)}" if name in (*names, "kwargs") else _key(name)
        yield _line(written, value, resolved.sources.get(f"{section}.kwargs.{name}"))


def _line(name: str, value: object, source: str | None) -> str:
    if value is None:
        return f"# {name} ="
    comment = f"  # {source}" if source else ""
    return f"{name} = {toml_value(value)}{comment}"


def _key(name: str) -> str:
    return name if name and set(name) <= _BARE_KEY else _string(name)


def toml_value(value: object) -> str:
    """Return a value on one line of TOML.

    Raises:
        TypeError: TOML has no such value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(key))} = {toml_value(item)}" for key, item in value.items())
        return "{" + inner + "}"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError(f"TOML has no {type(value).__name__}: {value!r}")


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def keys_table() -> list[str]:
    """Return the lines of the table of keys in configs/README.md."""
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key in KEYS.values():
        default = "" if key.default is None else f"`{toml_value(key.default)}`"
        lines.append(f"| `{key.name}` | {default} | {key.doc} |")
    return lines

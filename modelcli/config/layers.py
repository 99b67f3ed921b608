"""The sources of a configuration, each read into a layer: a file, ``--set``, the flags."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelcli.config.keys import KEYS, OPEN_SECTIONS, SECTIONS, keys_named
from modelcli.config.values import check_value, parse_argument, parse_value
from modelcli.errors import ConfigError, ask, did_you_mean
from modelcli.files import parse_toml, read_limited

_SEE_ALL = "'modelcli train --dry-run' prints every key with its value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong, and what to do about it."""

    message: str
    hint: str = ""


@dataclass(slots=True, kw_only=True)
class Layer:
    """One source of values.

    Attributes:
        source: what it is called in messages: a file's path, ``--set`` or ``flag``.
        values: dotted key -> checked value.
        mistakes: what is wrong in it.
        labels: dotted key -> what to call its source, where that is not ``source``.
    """

    source: str
    values: dict[str, object] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


def file_layer(file: str | Path) -> Layer:
    """Return what a TOML file sets.

    Raises:
        ConfigError: it cannot be read or is not TOML; wrong keys and values are in ``mistakes``.
    """
    layer = Layer(source=str(file))
    for section, table in _read_toml(file).items():
        if section not in SECTIONS:
            hint = did_you_mean(section, SECTIONS, otherwise=f"there are {', '.join(SECTIONS)}")
            layer.mistakes.append(
                Mistake(message=f"unknown section '{section}' in {file}", hint=hint)
            )
        elif not isinstance(table, dict):
            message = f"'{section}' in {file} must be a table, not {table!r}"
            layer.mistakes.append(
                Mistake(message=message, hint=f"write [{section}] above its keys")
            )
        else:
            for key, value in table.items():
                _put(layer, f"{section}.{key}", value, f"{section}.{key} in {file}")
    return layer


def _read_toml(file: str | Path) -> dict[str, object]:
    try:
        text = read_limited(file, ConfigError).decode("utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"cannot read the configuration {file}: {reason}", _nearby(file)
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"cannot read the configuration {file}: it is not UTF-8 text", "is it TOML?"
        ) from None
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{file} is not TOML: {error}", "strings need quotes, tables look like [train]"
        ) from None


def _nearby(file: str | Path) -> str:
    path = Path(file)
    here = sorted(str(each) for each in path.parent.glob("*.toml"))
    return did_you_mean(str(path), here, otherwise="a configuration is a TOML file")


def settings_layer(settings: Sequence[str]) -> Layer:
    """Return what ``--set`` was given, each ``KEY=VALUE``."""
    layer = Layer(source="--set")
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            message = f"--set needs KEY=VALUE, not '{setting}'"
            layer.mistakes.append(Mistake(message=message, hint="as in --set train.steps=50"))
            continue
        try:
            is_argument = _is_argument(key)
            value = parse_argument(text.strip()) if is_argument else parse_value(text.strip())
        except ValueError as error:
            layer.mistakes.append(
                _refused(f"--set {key}", error, "strings may be quoted: '\"text\"'")
            )
            continue
        _put(layer, f"model.kwargs.{key}" if is_argument else key, value, f"--set {key}")
    return layer


def _is_argument(key: str) -> bool:
    """Tell whether a key is an argument of the model, or a part of one: ``config.dim``."""
    section, dot, _ = key.partition(".")
    return not dot or not (section in SECTIONS or did_you_mean(section, SECTIONS))


def flags_layer(flags: Mapping[str, object]) -> Layer:
    """Return what the flags set; None means that a flag was not given."""
    layer = Layer(source="flag")
    for name, value in flags.items():
        if value is None:
            continue
        label = (KEYS[name].flag or name) if name in KEYS else name
        layer.labels[name] = label
        _put(layer, name, value, label)
    return layer


def _put(layer: Layer, name: str, value: object, where: str) -> None:
    """Store a checked value under its key, or the mistake."""
    section, _, rest = name.partition(".")
    if name in KEYS:
        try:
            layer.values[name] = check_value(KEYS[name], value)
        except ValueError as error:
            layer.mistakes.append(_refused(where, error, KEYS[name].doc))
    elif section in OPEN_SECTIONS and rest == "kwargs" and isinstance(value, dict):
        layer.values.update({f"{name}.{key}": item for key, item in value.items()})
    elif section in OPEN_SECTIONS and rest:
        layer.values[f"{section}.kwargs.{rest.removeprefix('kwargs.')}"] = value
    else:
        layer.mistakes.append(_unknown(name, layer.source))


def _refused(where: str, error: ValueError, doc: str) -> Mistake:
    """Return the mistake of a value; the error may bring a hint of its own as a second argument."""
    text, hint = (*error.args, doc.replace("`", "'"))[:2]
    return Mistake(message=f"{where} {text}", hint=hint)


def _unknown(name: str, source: str) -> Mistake:
    elsewhere = ask(*keys_named(name.rpartition(".")[2])).rstrip()
    hint = elsewhere or did_you_mean(name, KEYS, otherwise=_SEE_ALL)
    return Mistake(message=f"unknown key '{name}' ({source})", hint=hint)


_MOST_TOLD = 10


def raise_for(mistakes: Sequence[Mistake]) -> None:
    """Raise for mistakes, all of them at once.

    Raises:
        ConfigError: there is one.
    """
    if not mistakes:
        return
    if len(mistakes) == 1:
        raise ConfigError(mistakes[0].message, mistakes[0].hint)
    told = [
        f"{each.message} ({each.hint})" if each.hint else each.message
        for each in mistakes[:_MOST_TOLD]
    ]
    if len(mistakes) > _MOST_TOLD:
        told.append(f"and {len(mistakes) - _MOST_TOLD:,} more")
    listed = "".join(f"\n  {number}. {text}" for number, text in enumerate(told, 1))
    error = ConfigError(f"{len(mistakes):,} mistakes in the configuration:{listed}", _SEE_ALL)
    error.mistakes = tuple(told)
    raise error

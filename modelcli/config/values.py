"""Values: read from the command line as TOML, and checked against the limits of their keys."""

from __future__ import annotations

import math
import re
import tomllib
from types import NoneType
from typing import Any, get_args, get_origin

from modelcli.config.data_names import DATA_NAMES, DATA_SUFFIXES
from modelcli.config.keys import Key
from modelcli.errors import UsageError, did_you_mean
from modelcli.files import parse_toml
from modelcli.losses import canonical_name

_BARE_WORD = re.compile(r"[^\s\"'\[\]{}=,#][^\"'\[\]{}#\n]*")
_PYTHON_SPELLINGS = {"True": "true", "False": "false"}
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def parse_value(text: str) -> object:
    """Return the value of ``KEY=text``: TOML, or a bare word as a string where TOML refuses it.

    Raises:
        ValueError: neither, or a spelling of Python's (True, .5) that would become a string.
    """
    if text in _PYTHON_SPELLINGS:
        toml = _PYTHON_SPELLINGS[text]
        raise ValueError(f"is read as TOML, which writes {toml}, not {text}", f"write {toml}")
    if text == "None":
        raise ValueError("is read as TOML, which has no None; leave the key out")
    try:
        parsed = parse_toml(f"value = {text}\n")
    except tomllib.TOMLDecodeError as error:
        return _bare_word(text, error)
    if len(parsed) > 1:
        raise ValueError(f"is not one TOML value: {_cut(repr(text))}")
    return parsed["value"]


def parse_argument(text: str) -> object:
    """Return the value of an argument of a model: as `parse_value`, and Python's None as text.

    Raises:
        ValueError: as `parse_value`.
    """
    if text == "None" or (text[:1] == "(" and text[-1:] == ")"):
        return text
    return parse_value(text)


def _bare_word(text: str, error: Exception) -> str:
    if "too many digits" in str(error):
        raise ValueError(f"has too many digits: {_cut(text)}")
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        raise ValueError(f"is not a number that TOML reads: {_cut(text)}; write {number!r}")
    if not _BARE_WORD.fullmatch(text):
        raise ValueError(f"is not a TOML value: {_cut(repr(text))} ({error})")
    return text


def check_value(key: Key, value: object) -> Any:
    """Return the value as its key's type.

    Raises:
        ValueError: what it must be and what it is, to be read after the key's name.
    """
    if get_origin(key.hint) is tuple:
        return _strings(value)
    kinds = get_args(key.hint) or (key.hint,)
    if any(get_origin(kind) is tuple for kind in kinds):
        return _numbers(value)
    kind = next(kind for kind in kinds if kind is not NoneType)
    checked = _typed(kind, value)
    if key.name == "loss.name":
        checked = canonical_name(checked)
    _check_limits(key, checked)
    _check_text(key.name, checked)
    return checked


def _typed(kind: type, value: object) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise ValueError(f"must be true or false, not {_shown(value)}")
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            if abs(value) < 1 << 63:
                return value
            raise ValueError(f"must fit into 63 bits, and {_cut(str(value))} does not")
        raise ValueError(f"must be a whole number, not {_shown(value)}")
    if kind is float:
        return _number(value)
    if isinstance(value, str):
        return value
    raise ValueError(f"must be a string, not {_shown(value)}")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"must be a number, not {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"must be a finite number, not {_cut(str(value))}")
    return number


def _numbers(value: object) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_numbers(item) for item in value)
    return _number(value)


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError(f'must be a list of strings, as ["fc*"], not {_shown(value)}')


def _check_limits(key: Key, value: Any) -> None:
    limits = key.limits
    if limits["choices"] and value not in limits["choices"]:
        raise _not_among(value, limits["choices"])
    if limits["least"] is not None and value < limits["least"]:
        raise ValueError(f"must be at least {limits['least']}, not {value}")
    if limits["above"] is not None and value <= limits["above"]:
        raise ValueError(f"must be above {limits['above']}, not {value}")
    if limits["below"] is not None and value >= limits["below"]:
        raise ValueError(f"must be below {limits['below']}, not {value}")


def check_device_name(name: str) -> None:
    """Refuse what is no device's name; whether the device is here is not asked.

    Raises:
        UsageError: it is none.
    """
    if not DEVICE.fullmatch(name):
        raise UsageError(f"there is no device '{name}'", "write auto, cpu, cuda, cuda:N or mps")


def _check_text(name: str, value: Any) -> None:
    if name == "train.device" and not DEVICE.fullmatch(value):
        raise ValueError(f"must be auto, cpu, cuda, cuda:N or mps, not '{value}'")
    if name == "data.name" and value not in DATA_NAMES and not value.endswith(DATA_SUFFIXES):
        raise _not_among(value, (*DATA_NAMES, *(f"FILE{suffix}" for suffix in DATA_SUFFIXES)))


def _not_among(value: str, choices: tuple[str, ...]) -> ValueError:
    did = did_you_mean(value, choices).rstrip()
    text = f"must be one of {', '.join(choices)}, not '{value}'"
    return ValueError(text, did) if did else ValueError(text)


def _shown(value: object) -> str:
    """Return a value as a user would have typed it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."

"""Constructor arguments as people type them, made what the signature asks for.

A file and a command line hold numbers, texts, lists and tables. Text becomes None, a tuple, a
member of an enumeration, or the class or function that it names, where the argument is no text
itself; a table becomes the object that the annotation names.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Union, get_args, get_origin

from modelcli.errors import UsageError, describe, did_you_mean
from modelcli.loading.nests import Nest
from modelcli.loading.source import check_arguments
from modelcli.loading.spelled import as_annotated, choices_of, scope_of, what_it_names

_NUMBERS: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), bool: (bool,)}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false"}


def settle_arguments(
    found: Callable[..., Any], label: str, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments for a constructor, checked against its signature.

    Raises:
        UsageError: an argument that it does not take or that it lacks, a value of the wrong kind,
            a name that leads nowhere.
    """
    hints, parameters = signature_of(found)
    gathered = _gathered(kwargs)
    settled: dict[str, Any] = {}
    for name, value in gathered.items():
        default = parameters[name].default if name in parameters else inspect.Parameter.empty
        settled[name] = _settled(value, hints.get(name), default, name, label, scope_of(found))
    for name, parameter in parameters.items():
        if name not in settled and parameter.default is parameter.empty:
            made = _made_of_defaults(hints.get(name))
            if made is not None:
                settled[name] = made
    check_arguments(found, label, settled, examples=_examples(parameters, hints))
    return settled


def plain_argument(value: Any) -> Any:
    """Return a value for an argument of which nothing is known."""
    return _settled(value, None, inspect.Parameter.empty, "", "")


def signature_of(
    found: Callable[..., Any],
) -> tuple[dict[str, Any], Mapping[str, inspect.Parameter]]:
    """Return the annotations and the parameters of a function or a class; none where it hides."""
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):  # built-in callables have none
        return {}, {}
    has_own = inspect.isclass(found) and found.__init__ is not object.__init__
    function = found.__init__ if has_own else found  # a named tuple is told by its class
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # an annotation may name what is not there
        hints = {n: p.annotation for n, p in parameters.items() if p.annotation is not p.empty}
    return hints, parameters


def _gathered(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments in which ``config.dim`` is a part of the table ``config``."""
    gathered: dict[str, Any] = {}
    for key, value in sorted(kwargs.items(), key=lambda item: "." in item[0]):
        name, *inside = key.split(".")
        if not inside:
            gathered[name] = value
            continue
        table = gathered.get(name)
        gathered[name] = table = dict(table) if isinstance(table, Mapping) else {}
        for step in inside[:-1]:
            table[step] = dict(table.get(step) or {})
            table = table[step]
        table[inside[-1]] = value
    return {name: gathered[name] for name in dict.fromkeys(k.split(".")[0] for k in kwargs)}


def _settled(
    value: Any,
    hint: Any,
    default: Any,
    name: str,
    label: str,
    scope: Mapping[str, Any] = types.MappingProxyType({}),
) -> Any:
    arms = allowed_by(hint)
    if value == "None" and arms != [str]:
        return None
    if isinstance(value, Mapping):
        return _object(value, arms, default, name, label)
    members = _enumeration(arms, default)
    if members is not None and not isinstance(value, members):
        return _member(value, members, name, label)
    if isinstance(value, list) and (tuple in arms or isinstance(default, tuple)):
        return tuple(value)
    if type(value) is int and arms == [str]:
        return str(value)
    if isinstance(value, str):
        value = as_annotated(value, hint, arms, name, label)
    if isinstance(value, str) and not _is_text(arms, default):
        value = what_it_names(value, arms, default, name, label, scope)
    _check_kind(value, arms, name, label)
    return value


def allowed_by(hint: Any) -> list[Any]:
    """Return what an annotation allows, ``tuple[int, int]`` as ``tuple``."""
    if hint is None:
        return []
    if get_origin(hint) in (Union, types.UnionType):
        return [arm for inner in get_args(hint) for arm in allowed_by(inner)]
    return [get_origin(hint) or hint]


def _is_text(arms: list[Any], default: Any) -> bool:
    """Tell whether an argument wants text, whatever that looks like."""
    named = [arm for arm in arms if arm is not type(None)]
    return str in named if named else isinstance(default, str) and default is not None


def _enumeration(arms: list[Any], default: Any) -> type[enum.Enum] | None:
    for arm in arms:
        if inspect.isclass(arm) and issubclass(arm, enum.Enum):
            return arm
    return type(default) if isinstance(default, enum.Enum) else None


def _member(value: Any, members: type[enum.Enum], name: str, label: str) -> enum.Enum:
    """Return the member of that name or value; the enumeration's own name may stand before it."""
    last = value.rpartition(".")[2] if isinstance(value, str) else value
    for member in members:
        if last in (member.name, member.value) or str(last).lower() == member.name.lower():
            return member
    names = [member.name for member in members]
    raise UsageError(
        f"'{name}' of '{label}' takes {' or '.join(names)}, not '{value}'",
        did_you_mean(str(value), names) + f"as --set {name}={names[0]}",
    )


def _object(value: Mapping[str, Any], arms: list[Any], default: Any, name: str, label: str) -> Any:
    """Return the object that a table describes; a dict where nothing else is asked for."""
    if dict in arms or isinstance(default, dict) or any(a is Mapping for a in arms):
        return dict(value)
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        return dataclasses.replace(default, **_fields(type(default), value, name))
    classes = [a for a in arms if inspect.isclass(a) and a.__module__ != "builtins"]
    if not classes:
        return Nest({key: plain_argument(item) for key, item in value.items()})
    try:
        return classes[0](**_fields(classes[0], value, name))
    except UsageError:
        raise
    except Exception as error:  # the user's code
        raise UsageError(
            f"'{name}' of '{label}' cannot be made: {describe(error)}",
            f"{classes[0].__name__} refuses {', '.join(f'{k}={v!r}' for k, v in value.items())}",
        ) from error


def _fields(kind: type, value: Mapping[str, Any], name: str) -> dict[str, Any]:
    hints, parameters = signature_of(kind)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in value:
        if key not in parameters and not open_ended:
            has = f"it has {', '.join(parameters)}"
            raise UsageError(
                f"{kind.__name__} has no '{key}' (--set {name}.{key})",
                did_you_mean(key, parameters) + has,
            )
    settled = {
        key: _settled(
            item, hints.get(key),
            parameters[key].default if key in parameters else inspect.Parameter.empty,
            f"{name}.{key}", kind.__name__,
        )
        for key, item in value.items()
    }  # fmt: skip
    missing = [
        n for n, p in parameters.items()
        if p.default is p.empty and n not in settled
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]  # fmt: skip
    if missing:
        raise UsageError(
            f"{kind.__name__} needs {', '.join(repr(n) for n in missing)}",
            f"give it: {' '.join(f'--set {name}.{n}=VALUE' for n in missing)}",
        )
    return settled


def _made_of_defaults(hint: Any) -> Any:
    """Return a dataclass of defaults alone, where a constructor demands one; else None."""
    if not (inspect.isclass(hint) and dataclasses.is_dataclass(hint)):
        return None
    _, parameters = signature_of(hint)
    if any(p.default is p.empty for p in parameters.values()):
        return None
    try:
        return hint()
    except Exception:  # the user's code; the missing argument is told
        return None


def _check_kind(value: Any, arms: list[Any], name: str, label: str) -> None:
    """Check a value against an annotation of plain numbers.

    Raises:
        UsageError: it is of another kind.
    """
    named = [arm for arm in arms if arm is not type(None)]
    if not named or any(arm not in _NUMBERS for arm in named):
        return
    if value is None and len(named) < len(arms):
        return
    allowed = {kind for arm in named for kind in _NUMBERS[arm]}
    is_flag = isinstance(value, bool) and bool not in allowed
    if isinstance(value, tuple(allowed)) and not is_flag:
        return
    if value is None:
        return  # a default of None is often not in the annotation
    wanted = " or ".join(_WORDS[arm] for arm in named)
    shown = str(value).lower() if isinstance(value, bool) else value
    raise UsageError(
        f"'{name}' of '{label}' takes {wanted}, not '{shown}'",
        f"as --set {name}={'true' if named[0] is bool else '1' if named[0] is int else '0.1'}",
    )


def _examples(
    parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any]
) -> dict[str, str]:
    """Return what could be given for arguments whose annotation says more than a number."""
    found: dict[str, str] = {}
    for name in parameters:
        hint = hints.get(name)
        members = _enumeration(allowed_by(hint), None)
        names = [member.name for member in members or ()] or [str(c) for c in choices_of(hint)]
        if names:
            more = f" (or {', '.join(names[1:6])})" if len(names) > 1 else ""
            found[name] = f"--set {name}={names[0]}{more}"
        elif inspect.isclass(hint) and dataclasses.is_dataclass(hint):
            fields = [f.name for f in dataclasses.fields(hint)]
            found[name] = " ".join(f"--set {name}.{field}=VALUE" for field in fields[:4])
    return found


_MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)")
_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")


def behind_open_arguments(
    error: TypeError, found: Callable[..., Any], label: str, kwargs: Mapping[str, Any]
) -> UsageError | None:
    """Return the mistake of usage if a constructor's ``**kwargs`` lacked or passed on an argument.

    Args:
        error: what the constructor raised.
        kwargs: what it was given.
    """
    _, parameters = signature_of(found)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    missing = _MISSING.search(str(error))
    if missing:
        names = re.findall(r"'(\w+)'", missing[1])
        wanted = " ".join(f"--set {name}=VALUE" for name in names)
        listed = ", ".join(f"'{name}'" for name in names)
        return UsageError(f"the constructor of '{label}' needs {listed}", f"give it: {wanted}")
    unexpected = _UNEXPECTED.search(str(error))
    if unexpected and unexpected[1] in kwargs:
        return UsageError(
            f"'{label}' takes no argument '{unexpected[1]}'", f"it passes it on, and {error}"
        )
    return None

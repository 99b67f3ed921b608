"""What the text of an argument stands for, where its annotation asks for something else."""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import torch
from torch import nn
from torch.nn import functional

from modelcli.errors import UsageError, did_you_mean

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_CALLABLES = (type, Callable)  # what get_origin gives for them


def as_annotated(text: str, hint: Any, arms: list[Any], name: str, label: str) -> Any:
    """Return None, a path, a device, a dtype or a list that a text spells; else the text.

    Args:
        arms: what the annotation allows, each without its own arguments.

    Raises:
        UsageError: it is none of the choices of a ``Literal``, or no device or dtype.
    """
    named = [arm for arm in arms if arm is not type(None)]
    choices = choices_of(hint)
    if choices:
        return _chosen(text, choices, len(named) < len(arms), name, label)
    if not named or str in named:
        return text
    if text.lower() == "none":
        return None
    if torch.device in named or torch.dtype in named:
        return _of_torch(text, named, name, label)
    for arm in named:
        if inspect.isclass(arm) and issubclass(arm, pathlib.PurePath):
            return arm(text)
    if "," in text and text[:1] not in "([" and (tuple in named or list in named):
        return _listed(text, tuple if tuple in named else list)
    return text


def _wants_callable(arms: list[Any], default: Any) -> bool:
    """Tell whether an argument wants a class or a function."""
    if arms:
        return any(arm in _CALLABLES for arm in arms)
    if default is inspect.Parameter.empty:  # which is a class, too
        return False
    return inspect.isclass(default) or inspect.isroutine(default)


def choices_of(hint: Any) -> list[Any]:
    """Return what a ``Literal`` allows; nothing for any other annotation."""
    arms = get_args(hint) if get_origin(hint) not in (None, Literal) else (hint,)
    if not all(get_origin(arm) is Literal or arm is type(None) for arm in arms):
        return []
    return [choice for arm in arms if arm is not type(None) for choice in get_args(arm)]


def _chosen(text: str, choices: list[Any], may_lack: bool, name: str, label: str) -> Any:
    for choice in choices:
        if text == choice:
            return choice
    if may_lack and text.lower() == "none":
        return None
    names = [str(choice) for choice in choices]
    raise UsageError(
        f"'{name}' of '{label}' takes {' or '.join(names)}, not '{text}'",
        did_you_mean(text, names) + f"as --set {name}={names[0]}",
    )


def _of_torch(text: str, named: list[Any], name: str, label: str) -> Any:
    found = getattr(torch, text.removeprefix("torch."), None)
    if torch.dtype in named and isinstance(found, torch.dtype):
        return found
    if torch.device in named:
        try:
            return torch.device(text)
        except RuntimeError:
            pass
    wanted, example = ("device", "cpu") if torch.device in named else ("dtype", "float32")
    raise UsageError(
        f"'{name}' of '{label}' takes a {wanted}, not '{text}'", f"as --set {name}={example}"
    )


def _listed(text: str, kind: type) -> Any:
    try:
        return kind(ast.literal_eval(f"({text},)"))
    except (ValueError, SyntaxError):
        return text


def scope_of(found: Callable[..., Any]) -> Mapping[str, Any]:
    """Return what the code of a constructor can name."""
    function = found.__init__ if inspect.isclass(found) else found
    scope: Mapping[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    return scope


def what_it_names(
    text: str, arms: list[Any], default: Any, name: str, label: str, scope: Mapping[str, Any]
) -> Any:
    """Return the tuple, class, function or constant that a text stands for; else the text.

    Args:
        arms: what the annotation allows.
        scope: what the constructor's code can name.

    Raises:
        UsageError: a name leads nowhere.
    """
    if _wants_callable(arms, default) and text.isidentifier():
        return _bare(text, name, label, scope, or_text=not arms)
    if text[:1] == "(" and text[-1:] == ")":
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
        return found if isinstance(found, tuple) else text
    return _named(text, name, label, scope) if _DOTTED.fullmatch(text) else text


def _named(text: str, name: str, label: str, scope: Mapping[str, Any]) -> Any:
    """Return the class, function or constant of a dotted name; the text if it begins no module.

    A module that is not imported yet stays so: ``weights.pt`` in a configuration from elsewhere
    must not run a ``weights.py`` beside it. What the model's own file needs is imported by then.

    Raises:
        UsageError: the module is there, and the name in it is not.
    """
    words = text.split(".")
    found: Any = sys.modules.get(words[0])
    if found is None and isinstance(scope.get(words[0]), ModuleType | type):
        found = scope[words[0]]  # nn.ReLU, as the model's file says it
    if found is None:  # a text with dots in it
        return text
    reached = words[0]
    for word in words[1:]:
        if not hasattr(found, word):
            try:
                importlib.import_module(f"{reached}.{word}")
            except Exception:
                did = did_you_mean(word, [n for n in dir(found) if n[:1] != "_"], f"{reached}.{{}}")
                whose = f"'{name}' of '{label}'" if name else "an argument"
                raise UsageError(
                    f"{whose} is to be '{text}', and '{reached}' has no '{word}'",
                    f"{did}quote a text twice: --set '{name or 'KEY'}=\"{text}\"'",
                ) from None
        found = getattr(found, word)
        reached = f"{reached}.{word}"
    return found


def _bare(text: str, name: str, label: str, scope: Mapping[str, Any], *, or_text: bool) -> Any:
    """Return what one word names in the model's file or in torch, where a class is asked for.

    Raises:
        UsageError: it names nothing there that can be called.
    """
    for place in (scope, vars(nn), vars(functional)):
        if callable(place.get(text)):
            return place[text]
    if or_text:
        return text
    names = [word for word in (*scope, *vars(nn)) if word[:1] != "_"]
    raise UsageError(
        f"'{name}' of '{label}' takes a class or a function, and '{text}' names none",
        did_you_mean(text, names) + f"as --set {name}=torch.nn.ReLU",
    )

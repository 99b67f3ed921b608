"""Layers that did not run in our passes, and may well run in the user's."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from torch import nn

from modelcli.loading.example import forward_parameters
from modelcli.modules import find_module

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context

# Operators that run the functions they are given out of sight, or only one of them.
_WITH_BODIES = frozenset(
    "cond while_loop scan associative_scan map vmap flex_attention invoke_subgraph".split()
)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
# What a forward says that goes through all of its layers without naming them.
_ALL_LAYERS = frozenset("children named_children modules named_modules _modules getattr".split())


def may_run_elsewhere(context: Context) -> str:
    """Return why a layer that did not run may run all the same, or "" if nothing speaks for it."""
    bodies = sorted({c.type for c in context.ran.calls} & _WITH_BODIES)
    if bodies:
        return f"{bodies[0]} chooses what runs"
    missing = _not_given(context)
    if missing:
        return f"'{missing[0]}' was not given"
    return ""


def _not_given(context: Context) -> list[str]:
    """Return the parameters of forward that are None unless given, and were not given.

    Another default is what the model runs with by its author's choice.
    """
    parameters = forward_parameters(context.built)
    inputs = context.inputs
    by_place = [
        name
        for name, p in parameters.items()
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    given = {*by_place[: len(inputs.args)], *inputs.kwargs, *context.request.kwargs}
    return [name for name, p in parameters.items() if name not in given and p.default is None]


def is_mentioned(model: nn.Module, path: str) -> bool:
    """Tell whether the code around a layer or parameter names it outside of the constructor."""
    parts = path.split(".")
    while len(parts) > 1:
        owner: Any = find_module(model, ".".join(parts[:-1]))
        if not isinstance(owner, _CONTAINERS):
            break
        parts.pop()  # what a list holds is used under the name of the list
    owner = find_module(model, ".".join(parts[:-1]))
    words = set(_words_of(owner))
    return parts[-1] in words or bool(words & _ALL_LAYERS)


def _words_of(module: nn.Module) -> Iterator[str]:
    for cls in type(module).__mro__:
        if cls is nn.Module:
            return
        for name, member in vars(cls).items():
            function = inspect.unwrap(getattr(member, "__func__", member))
            if name != "__init__" and isinstance(function, FunctionType):
                yield from _words_in(function.__code__)
    for value in vars(module).values():
        if isinstance(value, FunctionType):
            yield from _words_in(value.__code__)


def _words_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _words_in(constant)
        elif isinstance(constant, str):
            yield constant

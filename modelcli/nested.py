"""The one walk over nested tensors.

A nest is a tensor, or a tuple, list, set, mapping, dataclass, namedtuple or plain object that
holds nests. There is no limit of depth, and an object that holds itself is entered once.
"""

from __future__ import annotations

import copy
import copyreg
import dataclasses
import types
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch
from torch import nn

# Objects of these packages are no containers of a user's tensors, or too many to look into.
_CLOSED_HOMES = frozenset(
    "torch builtins numpy functools enum logging re pathlib threading typing weakref io".split()
)
_CLOSED_TYPES = (
    type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType,
    nn.Module, str, bytes, bytearray, int, float, complex, range, slice,
)  # fmt: skip
_PLAIN = frozenset((int, float, bool, str, bytes, complex))


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a nest in order; one that is held twice comes twice."""
    if isinstance(value, torch.Tensor):
        yield value
        return
    for _, tensor in named_tensors_in(value):
        yield tensor


def named_tensors_in(value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a nest with how to reach each: ``.boxes``, ``['x'][0]`` or ``""``."""
    stack: list[tuple[str, Any]] = [("", value)]
    entered: set[int] = set()
    while stack:
        path, item = stack.pop()
        if isinstance(item, torch.Tensor):
            yield path, item
        elif is_container(item) and id(item) not in entered:
            entered.add(id(item))
            stack.extend((path + step, inner) for step, inner in reversed(list(items_of(item))))


def map_tensors(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Return a nest of the same kinds with every tensor replaced by ``change(tensor)``.

    What holds no tensor is the same object, and so is a container that cannot be copied.
    """
    if type(value) is tuple and all(isinstance(item, torch.Tensor) for item in value):
        return tuple([change(tensor) for tensor in value])  # as arguments nearly always are
    return map_named_tensors(value, lambda _, tensor: change(tensor))


def map_named_tensors(value: Any, change: Callable[[str, torch.Tensor], Any]) -> Any:
    """Return a nest of the same kinds with every tensor replaced by ``change(path, tensor)``."""
    made: dict[int, Any] = {}
    # The walk down is a stack of our own: Python's ends at some hundred levels.
    stack = [_mapped(value, "", change, made)]
    result: Any = None
    while stack:
        try:
            inner, path = stack[-1].send(result)
        except StopIteration as done:
            stack.pop()
            result = done.value
        else:
            stack.append(_mapped(inner, path, change, made))
            result = None
    return result


def _mapped(
    value: Any, path: str, change: Callable[[str, torch.Tensor], Any], made: dict[int, Any]
) -> Generator[tuple[Any, str], Any, Any]:
    """Ask for what a container holds, one after the other, and return the container anew."""
    if isinstance(value, torch.Tensor):
        return change(path, value)
    if not is_container(value):
        return value
    if id(value) in made:
        return made[id(value)]
    made[id(value)] = value  # what holds itself goes on holding the original
    old = list(items_of(value))
    new = []
    for step, item in old:
        if item is None or type(item) in _PLAIN:
            new.append(item)
        else:
            new.append((yield item, path + step))
    if any(a is not b for (_, a), b in zip(old, new, strict=True)):
        made[id(value)] = _rebuild(value, new)
    return made[id(value)]


def is_container(value: Any) -> bool:
    """Tell whether a value can hold tensors that are a user's own."""
    if isinstance(value, (tuple, list, set, frozenset, Mapping)):
        return True
    if value is None or isinstance(value, _CLOSED_TYPES):
        return False
    if type(value).__module__.split(".")[0] in _CLOSED_HOMES:
        return False
    if dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        return True
    return bool(_slots(type(value)))


def items_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a container holds, one level down, with the step that leads to it."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f".{name}", item) for name, item in zip(value._fields, value, strict=True))
    elif isinstance(value, (tuple, list)):
        yield from ((f"[{number}]", item) for number, item in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from (("{...}", item) for item in value)
    else:
        yield from ((f".{name}", item) for name, item in _attributes(value).items())


def _attributes(value: Any) -> dict[str, Any]:
    held = dict(getattr(value, "__dict__", {}))
    missing = (name for name in _slots(type(value)) if name not in held)
    held.update({name: getattr(value, name) for name in missing if hasattr(value, name)})
    return held


def _slots(kind: type) -> tuple[str, ...]:
    """Return the names that a class and its bases keep outside of ``__dict__``."""
    return tuple(copyreg._slotnames(kind))  # type: ignore[attr-defined]


def _rebuild(value: Any, items: list[Any]) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*items)
    if isinstance(value, (tuple, set, frozenset)):
        return type(value)(items)
    made = copy.copy(value)
    if isinstance(value, list):
        made[:] = items
    elif isinstance(value, Mapping):
        for key, item in zip(value, items, strict=True):
            made[key] = item
    else:
        for name, item in zip(_attributes(value), items, strict=True):
            object.__setattr__(made, name, item)  # frozen dataclasses refuse their own
    return made

"""What a model keeps where torch.nn does not look: lists, dictionaries, plain objects."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelcli.identity import storage_key

_MOST_ITEMS = 10_000
_OWN = frozenset(
    "_parameters _buffers _modules _non_persistent_buffers_set _backward_pre_hooks "
    "_backward_hooks _is_full_backward_hook _forward_hooks _forward_hooks_with_kwargs "
    "_forward_hooks_always_called _forward_pre_hooks _forward_pre_hooks_with_kwargs "
    "_state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks "
    "_load_state_dict_post_hooks _flat_weights _flat_weight_refs _all_weights "
    "parametrizations".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A module or tensor that an attribute leads to, past ``_parameters`` and its kin.

    Attributes:
        owner: the registered module that has the attribute.
        path: the owner's name in the model.
        attribute: the attribute's name.
        trail: how to get from the attribute to the value: ``[0]``, ``['a'].weight`` or ``""``.
        value: the module or tensor.
    """

    owner: nn.Module
    path: str
    attribute: str
    trail: str
    value: Any

    @property
    def name(self) -> str:
        """The whole name, as a user would write it after ``model.``."""
        prefix = f"{self.path}." if self.path else ""
        return f"{prefix}{self.attribute}{self.trail}"

    @property
    def holder(self) -> str:
        """The attribute's name without the trail."""
        return f"{self.path}.{self.attribute}" if self.path else self.attribute


def find_hidden(model: nn.Module) -> tuple[Hidden, ...]:
    """Return every module and tensor in plain attributes, each once, in order.

    What is registered elsewhere in the model is left out: a list of references does no harm.
    """
    registered = {id(module) for module in model.modules()}
    registered |= {id(t) for t in model.parameters()} | {id(t) for t in model.buffers()}
    storages = {_storage(t) for t in (*model.parameters(), *model.buffers())} - {None}
    found: list[Hidden] = []
    seen: set[int] = set()
    for path, module in model.named_modules():
        for attribute, value in list(vars(module).items()):
            if attribute in _OWN:
                continue
            for trail, item in _walk(value, "", 5, seen, registered):
                if id(item) in registered or _storage(item) in storages:
                    continue
                found.append(
                    Hidden(owner=module, path=path, attribute=attribute, trail=trail, value=item)
                )
    return tuple(found)


def _storage(value: Any) -> int | None:
    if not isinstance(value, torch.Tensor) or value.is_meta:
        return None
    return storage_key(value)


def _walk(
    value: Any, trail: str, depth: int, seen: set[int], registered: set[int]
) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (torch.Tensor, nn.Module)):
        if id(value) not in seen and id(value) not in registered:
            seen.add(id(value))
            yield trail, value
        return
    if not depth or not _is_container(value) or id(value) in seen:
        return
    seen.add(id(value))
    for step, item in _items(value):
        yield from _walk(item, trail + step, depth - 1, seen, registered)


def _is_container(value: Any) -> bool:
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        return len(value) <= _MOST_ITEMS
    if isinstance(value, (type, types.ModuleType, types.FunctionType, types.MethodType)):
        return False
    home = type(value).__module__.split(".")[0]
    if home in ("torch", "builtins", "numpy", "functools", "enum", "collections", "logging"):
        return False
    return dataclasses.is_dataclass(value) or hasattr(value, "__dict__")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"[{key!r}]", item
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield f"[{number}]", item
    elif isinstance(value, (set, frozenset)):
        for item in value:
            yield "{...}", item
    else:
        if dataclasses.is_dataclass(value) and not hasattr(value, "__dict__"):
            for entry in dataclasses.fields(value):
                yield f".{entry.name}", getattr(value, entry.name, None)
        else:
            for name, item in vars(value).items():
                yield f".{name}", item

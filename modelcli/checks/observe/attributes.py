"""What a model keeps where torch.nn does not look: lists, dictionaries, plain objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelcli.identity import storage_key
from modelcli.modules import buffers_of, modules_of, named_modules, parameters_of
from modelcli.nested import is_container, items_of

_OWN = frozenset(
    "_parameters _buffers _modules _non_persistent_buffers_set _backward_pre_hooks "
    "_backward_hooks _is_full_backward_hook _forward_hooks _forward_hooks_with_kwargs "
    "_forward_hooks_always_called _forward_pre_hooks _forward_pre_hooks_with_kwargs "
    "_state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks "
    "_load_state_dict_post_hooks _flat_weights _flat_weight_refs _all_weights "
    "parametrizations".split()
)
_OF_GRAPHS = _OWN | {"graph_module"}  # the code of a part of torch.export, beside its weights


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
    registered = {id(module) for module in modules_of(model)}
    registered |= {id(t) for t in parameters_of(model)} | {id(t) for t in buffers_of(model)}
    storages = {_storage(t) for t in (*parameters_of(model), *buffers_of(model))} - {None}
    found: list[Hidden] = []
    seen: set[int] = set()
    for path, module in named_modules(model):
        own = _OF_GRAPHS if type(module).__module__.startswith("torch.export.") else _OWN
        for attribute, value in list(vars(module).items()):
            if attribute in own:
                continue
            for trail, item in _walk(value, "", seen, registered):
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
    value: Any, trail: str, seen: set[int], registered: set[int]
) -> Iterator[tuple[str, Any]]:
    """Yield the modules and tensors that a value leads to, in order."""
    stack = [(trail, value)]
    while stack:
        trail, item = stack.pop()
        if id(item) in seen:
            continue
        if isinstance(item, (torch.Tensor, nn.Module)):
            if id(item) not in registered:
                seen.add(id(item))
                yield trail, item
        elif is_container(item):
            seen.add(id(item))
            stack.extend((trail + step, inner) for step, inner in reversed(list(items_of(item))))

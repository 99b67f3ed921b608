"""What a model holds at one moment, to be compared with another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from modelcli.modules import named_buffers, named_modules, named_parameters
from modelcli.nested import tensors_in

_LARGEST_SNAPSHOT = 50_000_000  # elements of buffers that are copied to be compared


@dataclass(slots=True, kw_only=True)
class State:
    """What a model held at one moment.

    Attributes:
        copies: of small buffers.
        versions: of the other tensors.
        attributes: what a change of a plain attribute would show in.
        graphs: the plain attributes that hold on to an autograd graph.
    """

    copies: dict[str, torch.Tensor] = field(default_factory=dict)
    versions: dict[str, tuple[int, int]] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    graphs: set[str] = field(default_factory=set)


def take_state(model: nn.Module) -> State:
    """Return what a model holds now."""
    state = State()
    copied = 0
    for name, buffer in named_buffers(model):
        copied += buffer.numel()
        if copied <= _LARGEST_SNAPSHOT:
            state.copies[name] = buffer.detach().clone()
        else:
            state.versions[name] = (id(buffer), buffer._version)
    for name, parameter in named_parameters(model):
        state.versions[name] = (id(parameter), parameter._version)
    for path, module in named_modules(model):
        for attribute, value in vars(module).items():
            if attribute.startswith("_") and attribute in _TORCH_ATTRIBUTES:
                continue
            noted = _note(value)
            if noted is None:
                continue
            name = f"{path}.{attribute}".lstrip(".")
            state.attributes[name] = noted
            if noted[0].startswith("tensor") and any(t.grad_fn for t in tensors_in(value)):
                state.graphs.add(name)
    return state


_TORCH_ATTRIBUTES = frozenset(vars(nn.Module())) | {"_flat_weights"}


def _note(value: Any) -> Any:
    """Return what a change of a plain attribute would show in."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return ("number", value)
    if isinstance(value, torch.Tensor):
        return ("tensor", value.detach().clone() if value.numel() < 1_000_000 else id(value))
    if isinstance(value, tuple):
        found = [t for t in tensors_in(value) if t.numel() < 1_000_000]
        return ("tensors", [t.detach().clone() for t in found]) if found else None
    if isinstance(value, (list, dict, set)):
        return ("size", len(value))
    return None

"""Which tensors a model holds, under which names, and which of them are the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _disable_current_modes

from modelcli.identity import (
    Key,
    count_bytes,
    count_unique,
    dtype_name,
    named_tensors,
    tensor_key,
)
from modelcli.loading.meta import is_empty
from modelcli.modules import attribute_of, modules_of, parameters_of
from modelcli.tracing.filling import fill
from modelcli.tracing.record import Tensor


def survey(
    model: nn.Module,
    used: set[int] | None = None,
    key_of: Callable[[torch.Tensor], Key] = tensor_key,
) -> tuple[Tensor, ...]:
    """List every name of every parameter and buffer.

    Args:
        model: any module; it is only looked at.
        used: ids of the tensors that a pass met; None where nothing ran.
        key_of: what the names of one tensor have in common.
    """
    found: list[Tensor] = []
    first: dict[Key, str] = {}
    for entry in named_tensors(model):
        name, kind, tensor = entry.name, entry.kind, entry.tensor
        lazy = is_lazy(tensor)
        key = key_of(tensor)
        found.append(
            fill(
                Tensor,
                {
                    "name": name,
                    "kind": kind,
                    "shape": () if lazy else tuple(tensor.shape),
                    "dtype": dtype_name(tensor.dtype),
                    "numel": 0 if lazy else tensor.numel(),
                    "nbytes": 0 if lazy else count_bytes(tensor),
                    "trainable": kind == "parameter" and tensor.requires_grad,
                    "tied_to": first.get(key),
                    "executed": used is None or id(tensor) in used,
                    "persistent": entry.persistent,
                },
            )
        )
        first.setdefault(key, name)
    return tuple(found)


def find_ties(tensors: tuple[Tensor, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of parameter names that are one tensor."""
    groups: dict[str, list[str]] = {}
    for tensor in tensors:
        if tensor.kind == "parameter" and tensor.tied_to is not None:
            groups.setdefault(tensor.tied_to, [tensor.tied_to]).append(tensor.name)
    return tuple(tuple(names) for names in groups.values())


def packed_elements(module: nn.Module) -> int:
    """Return how many weights a quantised layer keeps in a packed form that is no parameter."""
    return count_unique(packed_tensors(module))


def packed_tensors(module: nn.Module) -> list[torch.Tensor]:
    """Return the weights that a quantised layer keeps in a packed form, unpacked."""
    if not type(module).__module__.startswith("torch.ao.nn.quantized"):
        return []
    counted = {id(tensor) for tensor in parameters_of(module)}
    found: list[torch.Tensor] = []
    for name in ("weight", "bias", "get_weight", "get_bias"):
        getter = attribute_of(module, name)
        try:
            with _disable_current_modes():  # a fake tensor mode does not unpack
                value = getter() if callable(getter) else getter
        except (RuntimeError, TypeError, AttributeError):
            continue
        values = value.values() if isinstance(value, dict) else (value,)
        found += [t for t in values if isinstance(t, torch.Tensor) and id(t) not in counted]
    return found


def unmasked_elements(model: nn.Module, total: int) -> int | None:
    """Return the parameters that pruning leaves, or None where masks or their values lack."""
    removed = 0
    masked = False
    for module in modules_of(model):
        for name, mask in module._buffers.items():
            base = name.removesuffix("_mask")
            if mask is None or base == name or f"{base}_orig" not in module._parameters:
                continue
            if is_empty(mask):
                return None
            masked = True
            removed += mask.numel() - int(torch.count_nonzero(mask))
    return total - removed if masked else None

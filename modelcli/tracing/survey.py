"""Which tensors a model holds, under which names, and which of them are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _disable_current_modes

from modelcli.tracing.record import Tensor

Key = tuple[Any, ...]


def tensor_key(tensor: torch.Tensor) -> Key:
    """Return what two names of one tensor have in common.

    Names are tied if they see the same elements of the same storage; views of different parts
    of one buffer (flattened recurrent weights) are different tensors.
    """
    if is_lazy(tensor):
        return ("id", id(tensor))
    if tensor.layout is not torch.strided or tensor.numel() == 0:
        return ("id", id(tensor))
    try:
        storage = tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # subclasses that wrap other tensors
        return ("id", id(tensor))
    return (storage, tensor.storage_offset(), tensor.numel())


def count_elements(tensor: torch.Tensor) -> int:
    """Return a tensor's number of elements; 0 while a lazy layer has not seen its input."""
    return 0 if is_lazy(tensor) else tensor.numel()


def count_bytes(tensor: torch.Tensor) -> int:
    """Return the bytes that a tensor's elements take."""
    return count_elements(tensor) * tensor.element_size()


def named_tensors(
    model: nn.Module,
) -> Iterator[tuple[str, Literal["parameter", "buffer"], torch.Tensor, bool]]:
    """Yield (name, kind, tensor, persistent) for every name, parameters first."""
    for name, parameter in model.named_parameters(remove_duplicate=False):
        yield name, "parameter", parameter, True
    for prefix, module in model.named_modules(remove_duplicate=False):
        for name, buffer in module._buffers.items():
            if buffer is not None:
                full = f"{prefix}.{name}" if prefix else name
                persistent = name not in module._non_persistent_buffers_set
                yield full, "buffer", buffer, persistent


def survey(model: nn.Module, used: set[int] | None = None) -> tuple[Tensor, ...]:
    """List every name of every parameter and buffer.

    Args:
        model: any module; it is only looked at.
        used: ids of the tensors that a pass met; None where nothing ran.
    """
    found: list[Tensor] = []
    first: dict[Key, str] = {}
    for name, kind, tensor, persistent in named_tensors(model):
        key = tensor_key(tensor)
        found.append(
            Tensor(
                name=name,
                kind=kind,
                shape=() if is_lazy(tensor) else tuple(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                numel=count_elements(tensor),
                nbytes=count_bytes(tensor),
                trainable=kind == "parameter" and tensor.requires_grad,
                tied_to=first.get(key),
                executed=used is None or id(tensor) in used,
                persistent=persistent,
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
    return sum(tensor.numel() for tensor in packed_tensors(module))


def packed_tensors(module: nn.Module) -> list[torch.Tensor]:
    """Return the weights that a quantised layer keeps in a packed form, unpacked."""
    if not type(module).__module__.startswith("torch.ao.nn.quantized"):
        return []
    counted = {id(tensor) for tensor in module.parameters()}
    found: list[torch.Tensor] = []
    for name in ("weight", "bias", "get_weight", "get_bias"):
        getter = getattr(module, name, None)
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
    for module in model.modules():
        for name, mask in module._buffers.items():
            base = name.removesuffix("_mask")
            if mask is None or base == name or f"{base}_orig" not in module._parameters:
                continue
            if mask.is_meta or type(mask).__name__ == "FakeTensor":
                return None
            masked = True
            removed += mask.numel() - int(torch.count_nonzero(mask))
    return total - removed if masked else None

"""The part of a tensor that a process holds, where FSDP has cut it, and the whole of it."""

from __future__ import annotations

import torch
from torch import Tensor


def whole(tensor: Tensor) -> Tensor:
    """Return the tensor of which this process may hold a part; all processes ask at once."""
    full = getattr(tensor, "full_tensor", None)
    return full() if full is not None else tensor


def local(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that this process holds."""
    own = getattr(tensor, "to_local", None)
    return own() if own is not None else tensor


def own_rows(full: Tensor, part: Tensor) -> Tensor:
    """Return the rows of a whole tensor that a process holds of a tensor cut alike.

    Rows are dealt out as ``torch.chunk`` does: all processes but the last hold equally many.
    """
    mesh = getattr(part, "device_mesh", None)
    if mesh is None:
        return full
    size, rank = mesh.size(mesh.ndim - 1), mesh.get_local_rank(mesh.ndim - 1)
    start = rank * -(-len(full) // size)
    return full[start : start + len(local(part))]


def alike(value: Tensor, part: Tensor) -> Tensor:
    """Return a value laid out and cut as a tensor of the same shape is."""
    made = torch.empty_like(part.detach(), dtype=value.dtype)
    own = local(value) if hasattr(value, "to_local") else own_rows(value, part)
    local(made).copy_(own)
    return made

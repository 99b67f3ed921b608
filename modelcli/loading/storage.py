"""Memory for a module that was built without it."""

from __future__ import annotations

import torch
from torch import nn

from modelcli.loading.twins import Twins, move_tensors
from modelcli.modules import modules_of

_SMALL_WEIGHT = 0.01  # few functions overflow on it or divide by zero


def give_storage(model: nn.Module) -> nn.Module:
    """Give the meta tensors of a module of our own memory, with values of no meaning; ties kept.

    Floating weights are small and alike, ids are zero.

    Raises:
        NotImplementedError: a tensor has no twin with memory.
    """
    twins = Twins("cpu")
    with torch.no_grad():
        move_tensors(model, twins)
        for storage in twins.storages():
            torch.empty(0, dtype=torch.uint8).set_(storage).zero_()
        tables = [(m._parameters, m._buffers) for m in modules_of(model)]
        for tensor in (t for pair in tables for table in pair for t in table.values()):
            if tensor is not None and (tensor.is_floating_point() or tensor.is_complex()):
                tensor.fill_(_SMALL_WEIGHT)
    return model

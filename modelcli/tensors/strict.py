"""Whether ``load_state_dict(strict=True)`` takes a file whose names are not the model's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelcli.tensors.match import NamedTensor

if TYPE_CHECKING:
    from torch import nn


def loads_strictly(model: nn.Module, tensors: Sequence[NamedTensor]) -> bool:
    """Ask torch, on the meta device: no value is read, and the model is left as it is.

    torch renames what an older version of it saved, and a model's own hooks may do as much.
    """
    import torch

    from modelcli.loading.copying import copy_to_meta

    try:
        on_meta = copy_to_meta(model)
        state = {
            tensor.name: torch.empty(
                tensor.shape, dtype=getattr(torch, tensor.dtype), device="meta"
            )
            for tensor in tensors
        }
        torch.nn.Module.load_state_dict(on_meta, state, strict=True)
    except Exception:  # whatever a model's hooks raise, it does not load
        return False
    return True

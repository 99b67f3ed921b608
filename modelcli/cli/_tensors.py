"""The tensors of a model target, for the commands that list or compare them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.tracing.record import Tensor

if TYPE_CHECKING:
    import torch


def list_tensors(model: torch.nn.Module) -> tuple[Tensor, ...]:
    """Return every name of every parameter and buffer, parameters first, in the model's order."""
    return (*_tensors(model, "parameter"), *_tensors(model, "buffer"))


def _tensors(model: torch.nn.Module, kind: Any) -> Iterator[Tensor]:
    from torch.nn.parameter import is_lazy

    named = model.named_parameters if kind == "parameter" else model.named_buffers
    unsaved = _unsaved(model) if kind == "buffer" else set()
    first: dict[int, str] = {}
    for name, tensor in named(remove_duplicate=False):
        owner = first.setdefault(id(tensor), name)
        lazy = is_lazy(tensor)
        numel = 0 if lazy else tensor.numel()
        yield Tensor(
            name=name,
            kind=kind,
            shape=() if lazy else tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            numel=numel,
            nbytes=numel * tensor.element_size(),
            trainable=bool(tensor.requires_grad),
            tied_to=None if owner == name else owner,
            persistent=name not in unsaved,
        )


def _unsaved(model: torch.nn.Module) -> set[str]:
    """Return the buffers that are not in the state_dict."""
    return {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules(remove_duplicate=False)
        for name in module._non_persistent_buffers_set
    }

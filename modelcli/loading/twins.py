"""Twins of tensors on another device: aliases of a storage stay aliases of one storage."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelcli.identity import stored_parts
from modelcli.modules import modules_of


class Twins:
    """Makes one twin per tensor: aliases of a storage stay aliases of one storage.

    Args:
        device: where the twins are: ``meta``, or ``cpu`` under a FakeTensorMode.
        values: give the twins the tensors' values; only on ``cpu``.
    """

    def __init__(self, device: str = "meta", *, values: bool = False) -> None:
        self.device = torch.device(device)
        self.values = values
        self._twins: dict[int, torch.Tensor] = {}
        self._storages: dict[int, torch.UntypedStorage] = {}
        self._keep: list[torch.Tensor] = []  # ids are only unique among the living

    def twin(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the twin: same shape, strides, dtype, class and requires_grad."""
        known = self._twins.get(id(tensor))
        if known is None:
            known = self._make(tensor)
            self._twins[id(tensor)] = known
            self._keep.append(tensor)
        return known

    def storages(self) -> list[torch.UntypedStorage]:
        """Return the memory of the twins."""
        return list(self._storages.values())

    def memo(self) -> dict[int, Any]:
        """Return the twins in the form that ``copy.deepcopy`` takes."""
        return dict(self._twins)

    def _make(self, tensor: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            if is_lazy(tensor):
                lazy: Any = type(tensor)
                made: torch.Tensor = lazy(device=self.device, dtype=tensor.dtype)
                return made
            bare = self._bare(tensor)
        if isinstance(tensor, nn.Parameter):
            made = nn.Parameter(bare, requires_grad=tensor.requires_grad)
            made.__dict__.update(tensor.__dict__)
            return made
        return bare.requires_grad_(tensor.requires_grad and tensor.is_leaf)

    def _bare(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = _storage(tensor)
        if storage is None and self.values:
            return tensor.detach().clone().to(self.device)
        if tensor.layout in _SPARSE:
            return self._sparse(tensor)
        if storage is None:
            return torch.empty(tensor.shape, dtype=_plain_dtype(tensor), device=self.device)
        base = self._storages.get(storage._cdata)
        if base is None:
            base = self._storages[storage._cdata] = self._copy(storage)
        empty = torch.empty(0, dtype=tensor.dtype, device=self.device)
        return empty.set_(base, tensor.storage_offset(), tensor.shape, tensor.stride())

    def _sparse(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a twin of the same layout that holds as many values."""
        if self.device.type != "meta":
            raise NotImplementedError("sparse tensors have no fake twin")
        values, *indices = (part.to(self.device) for part in stored_parts(tensor.detach()))
        if tensor.layout is torch.sparse_coo:
            return torch.sparse_coo_tensor(indices[0], values, tensor.shape)
        return torch.sparse_compressed_tensor(
            indices[0], indices[1], values, tensor.shape, layout=tensor.layout
        )

    def _copy(self, storage: torch.UntypedStorage) -> torch.UntypedStorage:
        made = torch.empty(storage.nbytes(), dtype=torch.uint8, device=self.device)
        if self.values:
            seen = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
            made.copy_(seen)
        return made.untyped_storage()


_SPARSE = frozenset(
    (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
)


def _storage(tensor: torch.Tensor) -> torch.UntypedStorage | None:
    """Return what a tensor's elements lie in; None where they lie in no plain storage."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return None
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # subclasses that wrap other tensors
        return None


def _plain_dtype(tensor: torch.Tensor) -> torch.dtype:
    return torch.float32 if tensor.is_quantized else tensor.dtype


def move_to_meta(model: nn.Module) -> nn.Module:
    """Replace, in a module of our own, every parameter and buffer that is still real."""
    return move_tensors(model, Twins())


def move_tensors(model: nn.Module, twins: Twins) -> nn.Module:
    """Replace the parameters and buffers of a module of our own by their twins."""
    for module in modules_of(model):
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is not None and tensor.device != twins.device:
                    table[name] = twins.twin(tensor)  # type: ignore[assignment]
    return model

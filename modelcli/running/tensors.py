"""From a tensor with values to its record: all of it where it is small, else its figures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelcli.running.record import TensorRecord, TensorStats

MOST_VALUES = 1000  # of a tensor that is written out whole
_BINS = 16
_EDGE = 3  # first and last values of a tensor that is too large to be shown


def record_tensor(name: str, tensor: Tensor) -> TensorRecord:
    """Return the record of a tensor on any device, of any type."""
    held = _plain(tensor)
    small = held.numel() <= MOST_VALUES
    return TensorRecord(
        name=name,
        dtype=str(tensor.dtype).removeprefix("torch."),
        shape=tuple(tensor.shape),
        values=held.tolist() if small else None,
        stats=measure(held),
        edges=_edges(held),
    )


def measure(tensor: Tensor, *, bins: int = _BINS) -> TensorStats:
    """Return the figures of a tensor; complex values are measured by their absolute value."""
    values = _plain(tensor).flatten()
    if values.is_complex():
        values = values.abs()
    values = values.double()
    finite = values[torch.isfinite(values)]
    some, several = finite.numel() > 0, finite.numel() > 1
    return TensorStats(
        mean=float(finite.mean()) if some else None,
        std=float(finite.std()) if several else None,
        min=float(finite.min()) if some else None,
        max=float(finite.max()) if some else None,
        zeros=int((values == 0).sum()) / values.numel() if values.numel() else 0.0,
        nonfinite=values.numel() - finite.numel(),
        histogram=_histogram(finite, bins) if some else (),
    )


def _histogram(finite: Tensor, bins: int) -> tuple[int, ...]:
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return (finite.numel(),)
    counts = torch.histc(finite, bins=bins, min=low, max=high)
    return tuple(int(count) for count in counts.tolist())


def _plain(tensor: Tensor) -> Tensor:
    held = tensor.detach()
    if held.layout is not torch.strided:
        held = held.to_dense()
    if held.is_quantized:
        held = held.dequantize()
    held = held.cpu().resolve_conj().resolve_neg()
    return held.float() if held.is_floating_point() and held.dtype.itemsize < 4 else held


def _edges(tensor: Tensor) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the first and the last values."""
    flat = tensor.flatten()
    return tuple(flat[:_EDGE].tolist()), tuple(flat[_EDGE:][-_EDGE:].tolist())


def to_array(tensor: Tensor) -> Any:
    """Return a NumPy array of a tensor's values; what NumPy has no type for becomes float32."""
    return _plain(tensor).numpy().copy()

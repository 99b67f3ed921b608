"""From a tensor with values to its record: all of it where it is small, else its figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelcli.errors import UsageError
from modelcli.running.record import Figures, TensorRecord
from modelcli.tensors.stats import reduce_chunks
from modelcli.tensors.values import CHUNK_BYTES

MOST_VALUES = 1000  # of a tensor that is written out whole
_BINS = 16
_MOST_DIMS = 64  # NumPy's NPY_MAXDIMS
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


def measure(tensor: Tensor, *, bins: int = _BINS) -> Figures:
    """Return the figures of a tensor; complex values are measured by their absolute value."""
    values = _plain(tensor).reshape(-1).numpy()
    stats = reduce_chunks(np.array_split(values, 1 + values.nbytes // CHUNK_BYTES))
    return Figures(
        mean=stats.mean,
        std=stats.std,
        min=stats.min,
        max=stats.max,
        zeros=stats.zeros,
        nonfinite=stats.nan + stats.inf,
        histogram=_histogram(values, stats.min, stats.max, bins),
    )


def _histogram(values: Any, low: float | None, high: float | None, bins: int) -> tuple[int, ...]:
    """Count the finite values in equal bins; one bin where they are all the same."""
    if low is None or high is None:
        return ()
    finite = np.abs(values) if values.dtype.kind == "c" else values
    finite = finite[np.isfinite(finite)].astype(np.float64)
    if low == high:
        return (finite.size,)
    counts, _ = np.histogram(finite, bins=bins, range=(low, high))
    return tuple(int(count) for count in counts)


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
    """Return a NumPy array of a tensor's values; what NumPy has no type for becomes float32.

    Raises:
        UsageError: it has more dimensions than an array can have.
    """
    if tensor.dim() > _MOST_DIMS:
        raise UsageError(
            f"a tensor of {tensor.dim()} dimensions: arrays of values have at most {_MOST_DIMS}",
            "give --input fewer dimensions; 'modelcli summary' takes any number",
        )
    return _plain(tensor).numpy().copy()

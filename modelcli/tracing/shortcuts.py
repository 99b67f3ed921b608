"""The results of the commonest operations on meta, without meta's own arithmetic.

torch works many operations out on meta in Python, through their decompositions: one to three
milliseconds for a normalisation, more than all the rest of a layer. Their outputs are like their
inputs, and can be had at once. A shortcut answers ``None`` to whatever is out of the ordinary
(mixed types, strides of their own, sizes that do not fit); that goes torch's way, and fails, if it
does, with torch's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Shortcut = Callable[..., Any]
_ATEN = torch.ops.aten


def _is_plain(*tensors: Any) -> bool:
    """Tell whether all are contiguous floating tensors on meta, of one type."""
    first = tensors[0]
    return all(
        isinstance(t, Tensor) and t.is_meta and t.dtype is first.dtype and t.is_contiguous()
        for t in tensors
    ) and bool(first.is_floating_point())


def _like(x: Tensor, *rest: Any, **options: Any) -> Tensor | None:
    """An element-wise function of one tensor and numbers."""
    numbers = (*rest, *options.values())
    if not _is_plain(x) or any(isinstance(value, (Tensor, complex)) for value in numbers):
        return None
    return torch.empty_like(x)


def _in_place(x: Tensor, *rest: Any, **options: Any) -> Tensor | None:
    numbers = (*rest, *options.values())
    plain = _is_plain(x) and not any(isinstance(value, (Tensor, complex)) for value in numbers)
    return x if plain else None


def _broadcast(a: Any, b: Any, *, alpha: Any = 1) -> Tensor | None:
    """An element-wise function of two tensors, or of one and a number."""
    if not isinstance(b, Tensor):
        return _like(a, b, alpha)
    if not _is_plain(a, b) or isinstance(alpha, complex):
        return None
    if a.shape == b.shape:
        return torch.empty_like(a)
    shape = torch._C._infer_size(a.shape, b.shape)
    made: Tensor = a.new_empty(shape)
    return made


def _softmax(x: Tensor, dim: int, widen: Any = None) -> Tensor | None:
    if widen or not _is_plain(x) or not -x.dim() <= dim < x.dim():
        return None
    return torch.empty_like(x)


def _batch_norm(
    x: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *_: Any
) -> tuple[Tensor, Tensor, Tensor] | None:
    given = [t for t in (weight, bias, mean, variance) if t is not None]
    if training or not _is_plain(x, *given) or x.dim() < 2 or mean is None or variance is None:
        return None
    if any(t.shape != x.shape[1:2] for t in given):
        return None
    return torch.empty_like(x), x.new_empty(x.shape[1]), x.new_empty(x.shape[1])


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Any, bias: Any, _eps: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    given = [t for t in (weight, bias) if t is not None]
    kept = x.dim() - len(shape)
    inner = x.shape[kept:]
    if not _is_plain(x, *given) or kept < 0 or inner != torch.Size(shape):
        return None
    if any(t.shape != inner for t in given):
        return None
    outer = (*x.shape[:kept], *(1 for _ in shape))
    return torch.empty_like(x), x.new_empty(outer), x.new_empty(outer)


def _addmm(bias: Tensor, a: Tensor, b: Tensor, **scales: Any) -> Tensor | None:
    """Adding the bias changes nothing about the shape of the product."""
    if scales or bias.shape != b.shape[1:] or not bias.dtype == a.dtype == b.dtype:
        return None
    product: Tensor = _ATEN.mm.default(a, b)
    return product


SHORTCUTS: dict[Any, Shortcut] = {
    **dict.fromkeys(
        (
            _ATEN.elu.default, _ATEN.exp.default, _ATEN.gelu.default, _ATEN.hardsigmoid.default,
            _ATEN.hardswish.default, _ATEN.hardtanh.default, _ATEN.leaky_relu.default,
            _ATEN.mul.Scalar, _ATEN.neg.default, _ATEN.pow.Tensor_Scalar, _ATEN.relu.default,
            _ATEN.rsqrt.default, _ATEN.sigmoid.default, _ATEN.silu.default, _ATEN.tanh.default,
        ),
        _like,
    ),
    **dict.fromkeys(
        (
            _ATEN.hardsigmoid_.default, _ATEN.hardswish_.default, _ATEN.hardtanh_.default,
            _ATEN.leaky_relu_.default, _ATEN.relu_.default, _ATEN.sigmoid_.default,
            _ATEN.silu_.default,
        ),
        _in_place,
    ),
    **dict.fromkeys(
        (_ATEN.add.Tensor, _ATEN.div.Tensor, _ATEN.mul.Tensor, _ATEN.sub.Tensor), _broadcast
    ),
    _ATEN._safe_softmax.default: _softmax,
    _ATEN._softmax.default: _softmax,
    _ATEN.addmm.default: _addmm,
    _ATEN.native_batch_norm.default: _batch_norm,
    _ATEN.native_layer_norm.default: _layer_norm,
}  # fmt: skip

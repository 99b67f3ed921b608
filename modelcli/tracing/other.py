"""What is free by convention, counted after all: element-wise work, norms, softmax, pooling.

A convention of its own, for a column of its own that is never added to the contractions. One per
element of the output of an element-wise operation; 5 per element of a softmax (its maximum,
difference, exponential, sum and quotient) and of a norm that takes its statistics from its input
(4 without weights), 2 of one that has them (1 without); one per element of the input of a pooling,
a reduction or a loss; 1, 2, 4 or 8 per element that is resized by its nearest, or between 2, 4 or
8 neighbours, 16 bicubically. Random numbers, sorting, look-up and moving data cost nothing here
either. Sources: fvcore's and DeepSpeed's counters, which agree in most of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from modelcli.nested import tensors_in
from modelcli.tracing.free import (
    ELEMENT_WISE,
    LOSSES,
    NORMALISATION,
    POOLING,
    REDUCTION,
    RESAMPLING,
    SOFTMAX,
)

Other = Callable[[tuple[Any, ...], dict[str, Any], Any], int]

_MOVING_THOUGH_TAGGED = frozenset(
    "clone copy _to_copy detach alias fill zero lift_fresh empty_like zeros_like ones_like "
    "full_like _conj_physical".split()
)


def find_other(func: Any) -> Other:
    """Return what counts an operation's work beside its contractions; ``nothing`` for none."""
    if func.namespace == "torchvision":
        return _OF_TORCHVISION.get(func._overloadpacket.__name__, nothing)
    if func.namespace not in ("aten", "prims"):
        return nothing
    full = func._overloadpacket.__name__
    name = full if full.endswith("__") else full.rstrip("_")
    own = _OWN.get(name)
    if own is not None:
        return own
    for names, rule in _RULES:
        if name in names:
            return rule
    if torch.Tag.pointwise in func.tags and name not in _MOVING_THOUGH_TAGGED and not func.is_view:
        return _each_output
    return nothing


def nothing(_args: tuple[Any, ...], _kwargs: dict[str, Any], _output: Any) -> int:
    """Count nothing."""
    return 0


def _elements(value: Any) -> int:
    first = next(tensors_in(value), None)
    return 0 if first is None else int(first.numel())


def _each_output(_args: tuple[Any, ...], _kwargs: dict[str, Any], output: Any) -> int:
    return _elements(output)


def _each_input(args: tuple[Any, ...], _kwargs: dict[str, Any], _output: Any) -> int:
    return _elements(args)


def _times_output(factor: int) -> Other:
    return lambda _args, _kwargs, output: factor * _elements(output)


def _norm(args: tuple[Any, ...], _kwargs: dict[str, Any], output: Any) -> int:
    """Statistics from the input: 5 with weights, 4 without."""
    has_weight = any(isinstance(arg, torch.Tensor) for arg in args[1:3])
    return (5 if has_weight else 4) * _elements(output)


def _batch_norm(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> int:
    """With its running statistics 2, or 1 without weights; else as every norm."""
    training = args[5] if len(args) > 5 else kwargs.get("training", kwargs.get("train"))
    return _norm(args, kwargs, output) if training else _running_norm(args, kwargs, output)


def _running_norm(args: tuple[Any, ...], _kwargs: dict[str, Any], output: Any) -> int:
    return (2 if isinstance(args[1], torch.Tensor) else 1) * _elements(output)


def _rms_norm(args: tuple[Any, ...], _kwargs: dict[str, Any], output: Any) -> int:
    """Squares, their sum, the quotient; and the weights."""
    has_weight = any(isinstance(arg, torch.Tensor) for arg in args[1:])
    return (4 if has_weight else 3) * _elements(output)


def _vector_norm(args: tuple[Any, ...], _kwargs: dict[str, Any], _output: Any) -> int:
    return 2 * _elements(args)


def _attention(args: tuple[Any, ...], _kwargs: dict[str, Any], _output: Any) -> int:
    """The softmax of the scores; queries and keys are scaled, as where it is written out."""
    q, k = args[0], args[1]
    scores = math.prod(q.shape[:-1]) * int(k.shape[-2])
    return int(5 * scores + q.numel() + k.numel())


def _deformable(args: tuple[Any, ...], _kwargs: dict[str, Any], output: Any) -> int:
    """Every value that a weight meets is read between four cells; a mask scales it."""
    x, weight = args[0], args[1]
    uses_mask = bool(args[-1])
    read: int = x.shape[1] * math.prod(weight.shape[2:])
    places: int = output.numel() // output.shape[1]
    return places * read * (8 if uses_mask else 7)


_RULES: tuple[tuple[frozenset[str], Other], ...] = (
    (SOFTMAX, _times_output(5)),
    (NORMALISATION, _norm),
    (POOLING, _each_input),
    (REDUCTION, _each_input),
    (LOSSES, _each_input),
    (ELEMENT_WISE, _each_output),
)
_RESIZED = {
    "nearest": 1, "linear1d": 2, "bilinear2d": 4, "trilinear3d": 8, "bicubic2d": 16,
    "lanczos2d": 36,
}  # fmt: skip
# Of a step and a unit of its state: 4 sums, 3 sigmoids and 2 tanh, 3 products and 1 sum.
_RECURRENT = _times_output(13)
_OWN: dict[str, Other] = {
    **{
        name: _times_output(factor)
        for name in RESAMPLING
        for word, factor in _RESIZED.items()
        if word in name
    },
    "grid_sampler_2d": _times_output(4),
    "_grid_sampler_2d_cpu_fallback": _times_output(4),
    "cudnn_grid_sampler": _times_output(4),
    "grid_sampler_3d": _times_output(8),
    "native_batch_norm": _batch_norm,
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_functional": _batch_norm,
    "cudnn_batch_norm": _batch_norm,
    "miopen_batch_norm": _batch_norm,
    "_batch_norm_impl_index": _batch_norm,
    "_native_batch_norm_legit_no_training": _running_norm,
    "_batch_norm_no_update": _running_norm,
    "_batch_norm_with_update": _norm,
    "_batch_norm_with_update_functional": _norm,
    "native_layer_norm": lambda args, kwargs, output: _norm((args[0], *args[2:]), kwargs, output),
    "_fused_rms_norm": _rms_norm,
    "norm": _vector_norm,
    "linalg_vector_norm": _vector_norm,
    "dist": _vector_norm,
    "_thnn_fused_lstm_cell": _RECURRENT,
    "_thnn_fused_gru_cell": _RECURRENT,
    "mkldnn_rnn_layer": _RECURRENT,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
}
_OF_TORCHVISION: dict[str, Other] = {"deform_conv2d": _deformable}

"""What each operation costs: a formula, nothing by convention, or not known.

Counted are contractions; 1 MAC is 2 FLOPs. Element-wise arithmetic, normalisation, activation,
pooling, reduction, look-up, sorting and data movement are free. torch's own registry
(``torch.utils.flop_counter``) is the base; here are the operations that it lacks or gets wrong:
matrix-vector products, CPU attention, fused recurrent and encoder kernels, and the backward of a
grouped convolution, which it takes too high by the number of groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._ops import HigherOrderOperator

from modelcli.tracing.formulas_more import FREE_OF_TORCHVISION, MORE
from modelcli.tracing.free import FREE
from modelcli.tracing.varlen import with_lengths

Formula = Callable[..., int | str]


def find_formula(func: Any) -> Formula | None:
    """Return what computes an operation's FLOPs, ``free`` for none, or None if that is not known.

    A formula is called with the operation's own arguments and ``out_val``, its output; it may
    return why this call's cost is not known.
    """
    if isinstance(func, HigherOrderOperator):
        return _torch_formula(func)
    packet = func._overloadpacket
    more = MORE.get(func.namespace, {}).get(packet.__name__)
    if func.namespace == "aten":
        own = _FORMULAS.get(packet.__name__) or more
    else:  # of other operators the formula that a user has registered comes first
        own = _torch_formula(packet) or more
    if own is not None:
        return own
    return free if is_free(func) else _torch_formula(packet)


def free(*_args: Any, **_kwargs: Any) -> int:
    """Cost nothing: the formula of operations that are free by convention."""
    return 0


def _torch_formula(packet: Any) -> Formula | None:
    # Imported where it is needed: it pulls in triton where that is installed (0.1 s).
    from torch.utils.flop_counter import flop_registry

    found: Formula | None = flop_registry.get(packet)
    return found if found is None else with_lengths(packet.__name__, found)


def is_free(func: Any) -> bool:
    """Tell whether an operation costs nothing by convention."""
    if torch.Tag.pointwise in func.tags or func.is_view:
        return True
    if func.namespace in ("prim", "prims", "profiler"):
        return True
    name = func._overloadpacket.__name__
    if func.namespace != "aten":
        return func.namespace == "torchvision" and name in FREE_OF_TORCHVISION
    return _is_free_name(name) or _any_pointwise(func._overloadpacket)


def _is_free_name(name: str) -> bool:
    base = name.rstrip("_") if not name.endswith("__") else name
    for suffix in ("_backward", "_backward_data", "_double_backward"):
        base = base.removesuffix(suffix)
    return base in FREE or base.endswith("_copy") or base.startswith(("_foreach_", "_nested_"))


def _any_pointwise(packet: Any) -> bool:
    """An in-place or out variant is as free as its functional twin that carries the tag."""
    return any(
        torch.Tag.pointwise in getattr(packet, overload).tags for overload in packet.overloads()
    )


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _convolution(x: Any, w: Any, *args: Any, out_val: Any, **_: Any) -> int:
    """Batch x output positions x weight elements; transposed, the input positions instead.

    The weight is (out, in / groups, *kernel), so groups need no term of their own.
    """
    transposed = bool(args[4]) if len(args) > 4 else False
    positions = _shape(x)[2:] if transposed else _shape(out_val)[2:]
    return 2 * _shape(x)[0] * math.prod(positions) * math.prod(_shape(w))


def _convolution_backward(
    grad: Any, x: Any, w: Any, _bias: Any, _s: Any, _p: Any, _d: Any, transposed: bool, _o: Any,
    _groups: int, mask: Sequence[bool], *, out_val: Any, **_: Any,
) -> int:  # fmt: skip
    """Each gradient wanted (of the input, of the weight) costs as much as the forward pass."""
    positions = _shape(x)[2:] if transposed else _shape(grad)[2:]
    forward = 2 * _shape(x)[0] * math.prod(positions) * math.prod(_shape(w))
    return forward * (int(mask[0]) + int(mask[1]))


def _mkldnn_convolution(x: Any, w: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    return 2 * _shape(x)[0] * math.prod(_shape(out_val)[2:]) * math.prod(_shape(w))


def _mv(a: Any, _b: Any, *, out_val: Any, **_: Any) -> int:
    return 2 * math.prod(_shape(a))


def _addmv(_c: Any, a: Any, _b: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    return 2 * math.prod(_shape(a))


def _outer(_c: Any, a: Any, b: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    return 2 * math.prod(_shape(a)) * math.prod(_shape(b))


def _conv_tbc(_x: Any, w: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    """Every output position applies the whole weight (kernel, in, out)."""
    return 2 * math.prod(_shape(out_val)[:2]) * math.prod(_shape(w))


def _mm(a: Any, b: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    return 2 * math.prod(_shape(a)) * _shape(b)[-1]


def _addmm(_c: Any, a: Any, b: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    return 2 * math.prod(_shape(a)) * _shape(b)[-1]


def _addbmm(_c: Any, a: Any, b: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    batch, rows, inner = _shape(a)
    return 2 * batch * rows * inner * _shape(b)[-1]


def _matrix_product(a: Any, b: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    """Weight-only quantised products: (rows, inner) by an output of (rows, columns)."""
    return 2 * math.prod(_shape(a)) * _shape(out_val)[-1]


def _semi_structured_linear(x: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    """Of four weights in a row two are left."""
    return math.prod(_shape(out_val)) * _shape(x)[-1]


def _semi_structured_mm(*args: Any, out_val: Any, **_: Any) -> int:
    """The dense factor is the last tensor among the arguments, with the inner size first."""
    dense = [arg for arg in args if isinstance(arg, torch.Tensor)][-1]
    return math.prod(_shape(out_val)) * _shape(dense)[0]


def _semi_structured_cslt(_packed: Any, dense: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    return math.prod(_shape(out_val)) * _shape(dense)[0]


def _linear(x: Any, w: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    return 2 * math.prod(_shape(x)) * _shape(w)[0]


def _trilinear(
    a: Any, b: Any, c: Any, expand1: Any, expand2: Any, expand3: Any, *_args: Any,
    out_val: Any, **_: Any,
) -> int:  # fmt: skip
    """One MAC for each term of the sum: the broadcast shape of the three factors."""
    shapes = [list(_shape(t)) for t in (a, b, c)]
    for shape, expand in zip(shapes, (expand1, expand2, expand3), strict=True):
        for dim in expand:
            shape.insert(dim, 1)
    return int(2 * math.prod(max(sizes) for sizes in zip(*shapes, strict=True)))


def attention_flops(q: Sequence[int], k: Sequence[int], v: Sequence[int]) -> int:
    """Scores and weighted sum, over the whole square whatever the mask.

    Args:
        q: (batch, heads, queries, head_dim); k, v: the same with keys for queries.
    """
    batch, heads, queries, head_dim = q
    return 2 * batch * heads * queries * k[-2] * (head_dim + v[-1])


def _attention(q: Any, k: Any, v: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    return attention_flops(_shape(q), _shape(k), _shape(v))


def _attention_backward(
    _grad: Any, q: Any, k: Any, v: Any, *_args: Any, out_val: Any, **_: Any
) -> int:
    """Two gradients for each of the two products.

    The fused kernel computes the scores again; that is its way of saving memory and no part of
    the model, and the unfused backward of the other rungs does not do it.
    """
    return 2 * attention_flops(_shape(q), _shape(k), _shape(v))


def _mkldnn_rnn(x: Any, w_ih: Any, w_hh: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    steps = _shape(x)[0] * _shape(x)[1]
    return 2 * steps * (math.prod(_shape(w_ih)) + math.prod(_shape(w_hh)))


def _mkldnn_rnn_backward(
    x: Any, w_ih: Any, w_hh: Any, _b_ih: Any, _b_hh: Any, hx: Any, *_args: Any, out_val: Any,
    **_: Any,
) -> int:  # fmt: skip
    """Gradients of the weights and of what they met; of the first state only if it wants one."""
    both = 2 * _mkldnn_rnn(x, w_ih, w_hh, out_val=None)
    batch = _shape(hx)[-2]
    return both if hx.requires_grad else both - 2 * batch * math.prod(_shape(w_hh))


def _cudnn_rnn(x: Any, weights: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    """Every weight matrix is applied once for each step of each sequence."""
    steps = math.prod(_shape(x)[:-1])
    return 2 * steps * sum(math.prod(_shape(w)) for w in weights if len(_shape(w)) == 2)


def _native_mha(
    q: Any, k: Any, _v: Any, embed_dim: int, _heads: int, qkv: Any, _qkv_bias: Any, proj: Any,
    *_args: Any, out_val: Any, **_: Any,
) -> int:  # fmt: skip
    batch, length = _shape(q)[:2]
    projections = math.prod(_shape(qkv)) + math.prod(_shape(proj))
    return 2 * batch * length * (projections + 2 * _shape(k)[1] * embed_dim)


def _native_encoder_layer(
    src: Any, embed_dim: int, heads: int, qkv: Any, qkv_bias: Any, proj: Any, _proj_bias: Any,
    *args: Any, out_val: Any, **_: Any,
) -> int:  # fmt: skip
    feed_forward = sum(
        math.prod(_shape(t)) for t in args if isinstance(t, torch.Tensor) and t.dim() == 2
    )
    attention = _native_mha(src, src, src, embed_dim, heads, qkv, qkv_bias, proj, out_val=None)
    return attention + 2 * math.prod(_shape(src)[:-1]) * feed_forward


_FORMULAS: dict[str, Formula] = {
    "mm": _mm,
    "addmm": _addmm,
    "bmm": _mm,
    "baddbmm": _addbmm,
    "convolution": _convolution,
    "_convolution": _convolution,
    "cudnn_convolution": _mkldnn_convolution,
    "mkldnn_convolution": _mkldnn_convolution,
    "_slow_conv2d_forward": _mkldnn_convolution,
    "_conv_depthwise2d": _mkldnn_convolution,
    "conv_depthwise3d": _mkldnn_convolution,
    "slow_conv3d_forward": _mkldnn_convolution,
    "slow_conv_dilated2d": _mkldnn_convolution,
    "slow_conv_dilated3d": _mkldnn_convolution,
    "convolution_backward": _convolution_backward,
    "mv": _mv,
    "dot": _mv,
    "vdot": _mv,
    "addmv": _addmv,
    "addmv_": _addmv,
    "addr": _outer,
    "addr_": _outer,
    "conv_tbc": _conv_tbc,
    "addbmm": _addbmm,
    "addbmm_": _addbmm,
    "_addmm_activation": _addmm,
    "addmm_": _addmm,
    "baddbmm_": _addbmm,
    "linear": _linear,
    "mkldnn_linear": _linear,
    "_int_mm": _matrix_product,
    "_weight_int8pack_mm": _matrix_product,
    "_weight_int4pack_mm": _matrix_product,
    "_weight_int4pack_mm_for_cpu": _matrix_product,
    "_grouped_mm": _matrix_product,
    "_sparse_semi_structured_linear": _semi_structured_linear,
    "_sparse_semi_structured_mm": _semi_structured_mm,
    "_sparse_semi_structured_addmm": _semi_structured_mm,
    "_cslt_sparse_mm": _semi_structured_cslt,
    "_trilinear": _trilinear,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
    "_scaled_dot_product_attention_math_for_mps": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
    "mkldnn_rnn_layer": _mkldnn_rnn,
    "mkldnn_rnn_layer_backward": _mkldnn_rnn_backward,
    "_cudnn_rnn": _cudnn_rnn,
    "_native_multi_head_attention": _native_mha,
    "_transformer_encoder_layer_fwd": _native_encoder_layer,
}

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

Formula = Callable[..., int]


def count_flops(func: Any, args: Sequence[Any], kwargs: dict[str, Any], output: Any) -> int | None:
    """Return the FLOPs of one dispatched operation, 0 if it is free, None if not known."""
    packet = func._overloadpacket
    own = _FORMULAS.get(packet.__name__) if func.namespace == "aten" else None
    if own is not None:
        return int(own(*args, out_val=output, **kwargs))
    if is_free(func):
        return 0
    known = _torch_formula(packet)
    return None if known is None else int(known(*args, **kwargs, out_val=output))


def _torch_formula(packet: Any) -> Formula | None:
    # Imported where it is needed: it pulls in triton where that is installed (0.1 s).
    from torch.utils.flop_counter import flop_registry

    found: Formula | None = flop_registry.get(packet)
    return found


def has_formula(func: Any) -> bool:
    """Tell whether an operation is a contraction that can be counted."""
    packet = func._overloadpacket
    if func.namespace == "aten" and packet.__name__ in _FORMULAS:
        return True
    return not is_free(func) and _torch_formula(packet) is not None


def is_free(func: Any) -> bool:
    """Tell whether an operation costs nothing by convention."""
    if torch.Tag.pointwise in func.tags or func.is_view:
        return True
    if func.namespace in ("prim", "prims", "profiler"):
        return True
    if func.namespace != "aten":
        return False
    name = func._overloadpacket.__name__
    return _is_free_name(name) or _any_pointwise(func._overloadpacket)


def _is_free_name(name: str) -> bool:
    base = name.rstrip("_")
    for suffix in ("_backward", "_backward_data", "_double_backward"):
        base = base.removesuffix(suffix)
    return base in _FREE or base.endswith("_copy") or base.startswith(("_foreach_", "_nested_"))


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
    """Five products for the forward's two: the scores again, and four gradients."""
    batch, heads, queries, head_dim = _shape(q)
    keys, value_dim = _shape(k)[-2], _shape(v)[-1]
    return 2 * batch * heads * queries * keys * (3 * head_dim + 2 * value_dim)


def _mkldnn_rnn(x: Any, w_ih: Any, w_hh: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    steps = _shape(x)[0] * _shape(x)[1]
    return 2 * steps * (math.prod(_shape(w_ih)) + math.prod(_shape(w_hh)))


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
    "_trilinear": _trilinear,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
    "_scaled_dot_product_attention_math_for_mps": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
    "mkldnn_rnn_layer": _mkldnn_rnn,
    "_cudnn_rnn": _cudnn_rnn,
    "_native_multi_head_attention": _native_mha,
    "_transformer_encoder_layer_fwd": _native_encoder_layer,
}

_FREE = frozenset(
    # element-wise and activations that torch does not tag, and the random ones
    "__irshift__ __ilshift__ __iand__ __ior__ __ixor__ _add_relu _prelu_kernel abs bernoulli "
    "binomial cauchy complex copysign dropout eq exponential fill floor_divide gcd ge gelu "
    "geometric glu glu_jvp gt hardswish heaviside lcm le lift log_normal log_sigmoid "
    "log_sigmoid_forward lt masked_fill mish native_dropout ne normal normal_functional poisson "
    "rand rand_like randint randint_like randn randn_like random randperm rrelu_with_noise "
    "rrelu_with_noise_functional threshold uniform _standard_gamma _sample_dirichlet _masked_scale "
    "multinomial bitwise_and hardtanh leaky_relu elu softplus hardsigmoid rrelu "
    "_fused_dropout _amp_update_scale _amp_foreach_non_finite_check_and_unscale "
    "_thnn_fused_lstm_cell _thnn_fused_gru_cell _transform_bias_rescale_qkv "
    "fake_quantize_per_channel_affine_cachemask "
    "fake_quantize_per_tensor_affine_cachemask _fake_quantize_learnable_per_tensor_affine "
    "_fake_quantize_learnable_per_channel_affine "
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams "
    "quantize_per_tensor quantize_per_channel quantize_per_tensor_dynamic dequantize int_repr "
    # losses
    "binary_cross_entropy binary_cross_entropy_with_logits huber_loss mse_loss multi_margin_loss "
    "multilabel_margin_loss_forward multilabel_margin_loss nll_loss nll_loss_forward "
    "nll_loss2d nll_loss2d_forward smooth_l1_loss soft_margin_loss _ctc_loss "
    # normalisation, softmax
    "_batch_norm_no_update _batch_norm_with_update _batch_norm_with_update_functional "
    "_batch_norm_impl_index _native_batch_norm_legit _native_batch_norm_legit_functional "
    "_native_batch_norm_legit_no_training "
    "batch_norm_elemt batch_norm_gather_stats batch_norm_gather_stats_with_counts "
    "batch_norm_stats batch_norm_update_stats cudnn_batch_norm miopen_batch_norm "
    "native_batch_norm native_group_norm native_layer_norm native_norm _fused_rms_norm "
    "quantized_batch_norm renorm _log_softmax _softmax _safe_softmax _masked_softmax "
    "_weight_norm_interface batch_norm norm dist linalg_vector_norm linalg__powsum _euclidean_norm "
    # reduction, sorting, search
    "_aminmax aminmax all amax amin any argmax argmin argsort bincount bucketize count_nonzero "
    "cummax cummin cumprod cumsum hash_tensor histc histogram isin kthvalue logcumsumexp "
    "_logcumsumexp logsumexp max mean median min mode msort nanmean nanmedian nansum nonzero "
    "nonzero_static prod searchsorted segment_reduce _segment_reduce sort std std_mean sum topk "
    "trace unique_consecutive unique_dim unique_dim_consecutive _unique _unique2 var var_mean "
    "_is_all_true _is_any_true equal "
    # pooling, resampling
    "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool2d adaptive_avg_pool3d "
    "adaptive_max_pool2d adaptive_max_pool3d adaptive_avg_pool1d avg_pool1d "
    "avg_pool2d avg_pool3d fractional_max_pool2d fractional_max_pool3d max_pool2d_with_indices "
    "max_pool3d_with_indices max_unpool2d max_unpool3d quantized_max_pool1d quantized_max_pool2d "
    "mkldnn_max_pool2d mkldnn_max_pool3d mkldnn_adaptive_avg_pool2d "
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d "
    "_upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d "
    "upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa "
    "grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback affine_grid_generator "
    # look-up
    "embedding embedding_dense embedding_renorm _embedding_bag _embedding_bag_forward_only "
    "_embedding_bag_dense _embedding_bag_per_sample_weights "
    "index index_put _index_put_impl _unsafe_index _unsafe_index_put _unsafe_masked_index "
    "_unsafe_masked_index_put_accumulate index_add index_copy index_fill index_reduce index_select "
    "gather take put scatter scatter_add scatter_reduce masked_scatter masked_select "
    # making and moving data
    "_chunk_cat _coalesce _copy_from _efficientzerotensor _fused_moving_avg_obs_fq_helper "
    "_jagged_to_padded_dense_forward _local_scalar_dense _mkldnn_reshape _mkldnn_transpose "
    "_padded_dense_to_jagged_forward "
    "_pack_padded_sequence _pad_packed_sequence _pin_memory _resize_output _stack _test_none "
    "_to_copy _to_dense _to_sparse _unsafe_view _reshape_alias _conj _neg_view alias arange "
    "as_strided as_strided_scatter bartlett_window blackman_window block_diag cat channel_shuffle "
    "clone col2im constant_pad_nd copy detach diag_embed diagonal_scatter embedding_sparse empty "
    "empty_like empty_permuted empty_strided eye flip full full_like hamming_window hann_window "
    "im2col is_same_size is_pinned item kaiser_window linspace lift_fresh logspace new_empty "
    "new_empty_strided new_full "
    "new_ones new_zeros ones ones_like pixel_shuffle pixel_unshuffle range reflection_pad1d "
    "reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d "
    "replication_pad2d replication_pad3d resize resize_as roll rot90 scalar_tensor "
    "select_scatter set slice_scatter split_with_sizes squeeze stack sym_size sym_stride sym_numel "
    "sym_storage_offset t to_mkldnn to_padded_tensor transpose tril tril_indices triu triu_indices "
    "unfold unsqueeze zero zeros zeros_like _make_dep_token _assert_async "
    "_functional_assert_async _assert_tensor_metadata view _lazy_clone is_nonzero "
    "_cudnn_init_dropout_state _cudnn_rnn_flatten_weight _nested_view_from_buffer slice "
    "select_backward slice_backward value_selecting_reduction q_scale q_zero_point "
    "_sobol_engine_draw _fill_mem_eff_dropout_mask".split()
)

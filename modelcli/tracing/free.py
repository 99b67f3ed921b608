"""The operations of ATen that cost nothing by convention and carry no tag that says so, by kind.

Names without the trailing underscore of in-place variants and without ``_backward``.
"""

from __future__ import annotations

ELEMENT_WISE = frozenset(
    "__irshift__ __ilshift__ __iand__ __ior__ __ixor__ _add_relu _prelu_kernel abs complex "
    "copysign eq fill floor_divide gcd ge gelu glu glu_jvp gt hardswish heaviside lcm le "
    "log_sigmoid log_sigmoid_forward lt masked_fill mish ne threshold _masked_scale bitwise_and "
    "hardtanh leaky_relu elu softplus hardsigmoid rrelu _thnn_fused_lstm_cell "
    "_thnn_fused_gru_cell _transform_bias_rescale_qkv fake_quantize_per_channel_affine_cachemask "
    "fake_quantize_per_tensor_affine_cachemask _fake_quantize_learnable_per_tensor_affine "
    "_fake_quantize_learnable_per_channel_affine "
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams hardshrink softshrink polar "
    "linalg_cross glu_backward_jvp".split()
)
"""One result an element, and no tag of torch that says so."""
RANDOM = frozenset(
    "bernoulli binomial cauchy dropout exponential geometric log_normal native_dropout normal "
    "normal_functional poisson rand rand_like randint randint_like randn randn_like random "
    "randperm rrelu_with_noise rrelu_with_noise_functional uniform _standard_gamma "
    "_sample_dirichlet multinomial _fused_dropout".split()
)
"""Random numbers, dropout among them."""
LOSSES = frozenset(
    "binary_cross_entropy binary_cross_entropy_with_logits huber_loss mse_loss multi_margin_loss "
    "multilabel_margin_loss_forward multilabel_margin_loss nll_loss nll_loss_forward nll_loss2d "
    "nll_loss2d_forward smooth_l1_loss soft_margin_loss _ctc_loss".split()
)
SOFTMAX = frozenset(
    "_log_softmax _softmax _safe_softmax _masked_softmax log_softmax softmax".split()
)
NORMALISATION = frozenset(
    "_batch_norm_no_update _batch_norm_with_update _batch_norm_with_update_functional "
    "_batch_norm_impl_index _native_batch_norm_legit _native_batch_norm_legit_functional "
    "_native_batch_norm_legit_no_training batch_norm_elemt batch_norm_gather_stats "
    "batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats "
    "cudnn_batch_norm miopen_batch_norm native_batch_norm native_group_norm native_layer_norm "
    "native_norm _fused_rms_norm quantized_batch_norm renorm _weight_norm_interface batch_norm "
    "norm dist linalg_vector_norm linalg__powsum".split()
)
"""Norms, and shifts and scales by statistics."""
REDUCTION = frozenset(
    "_aminmax aminmax all amax amin any argmax argmin cummax cummin cumprod cumsum logcumsumexp "
    "_logcumsumexp logsumexp max mean min nanmean nansum prod segment_reduce _segment_reduce std "
    "std_mean sum trace var var_mean _is_all_true _is_any_true equal".split()
)
"""One value of many."""
SORTING = frozenset(
    "argsort bincount bucketize count_nonzero hash_tensor histc histogram isin kthvalue median "
    "mode msort nanmedian nonzero nonzero_static searchsorted sort topk unique_consecutive "
    "unique_dim unique_dim_consecutive _unique _unique2".split()
)
"""Sorting, counting and search."""
POOLING = frozenset(
    "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool2d adaptive_avg_pool3d "
    "adaptive_max_pool2d adaptive_max_pool3d adaptive_avg_pool1d avg_pool1d avg_pool2d avg_pool3d "
    "fractional_max_pool2d fractional_max_pool3d max_pool2d_with_indices max_pool3d_with_indices "
    "max_unpool2d max_unpool3d quantized_max_pool1d quantized_max_pool2d mkldnn_max_pool2d "
    "mkldnn_max_pool3d mkldnn_adaptive_avg_pool2d max_pool2d quantized_max_pool3d".split()
)
RESAMPLING = frozenset(
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d "
    "_upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d "
    "upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa "
    "grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback affine_grid_generator "
    "_upsample_lanczos2d_aa cudnn_grid_sampler".split()
)
"""Resizing, and reading between cells."""
LOOK_UP = frozenset(
    "embedding embedding_dense embedding_renorm _embedding_bag _embedding_bag_forward_only "
    "_embedding_bag_dense _embedding_bag_per_sample_weights index index_put _index_put_impl "
    "_unsafe_index _unsafe_index_put _unsafe_masked_index _unsafe_masked_index_put_accumulate "
    "index_add index_copy index_fill index_reduce index_select gather take put scatter "
    "scatter_add scatter_reduce masked_scatter masked_select".split()
)
MOVING = frozenset(
    "lift int_repr quantize_per_tensor quantize_per_channel quantize_per_tensor_dynamic "
    "dequantize _amp_update_scale _amp_foreach_non_finite_check_and_unscale _chunk_cat _coalesce "
    "_copy_from _efficientzerotensor _fused_moving_avg_obs_fq_helper "
    "_jagged_to_padded_dense_forward _local_scalar_dense _mkldnn_reshape _mkldnn_transpose "
    "_padded_dense_to_jagged_forward _pack_padded_sequence _pad_packed_sequence _pin_memory "
    "_resize_output _stack _to_copy _to_dense _to_sparse _unsafe_view _reshape_alias _conj "
    "_neg_view alias arange as_strided as_strided_scatter bartlett_window blackman_window "
    "block_diag cat channel_shuffle clone col2im constant_pad_nd copy detach diag_embed "
    "diagonal_scatter embedding_sparse empty empty_like empty_permuted empty_strided eye flip "
    "full full_like hamming_window hann_window im2col is_same_size is_pinned item kaiser_window "
    "linspace lift_fresh logspace new_empty new_empty_strided new_full new_ones new_zeros ones "
    "ones_like pixel_shuffle pixel_unshuffle range reflection_pad1d reflection_pad2d "
    "reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d "
    "replication_pad3d resize resize_as roll rot90 scalar_tensor select_scatter set slice_scatter "
    "split_with_sizes squeeze stack sym_size sym_stride sym_numel sym_storage_offset t to_mkldnn "
    "to_padded_tensor transpose tril tril_indices triu triu_indices unfold unsqueeze zero zeros "
    "zeros_like _make_dep_token _assert_async _functional_assert_async _assert_tensor_metadata "
    "view _lazy_clone is_nonzero _cudnn_init_dropout_state _cudnn_rnn_flatten_weight "
    "_nested_view_from_buffer slice select slice_backward value_selecting_reduction q_scale "
    "q_zero_point _assert_scalar _functional_assert_scalar _functional_sym_constrain_range "
    "_functional_sym_constrain_range_for_size sym_constrain_range sym_constrain_range_for_size "
    "_coalesced _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo "
    "_copy_from_and_resize _dimI _dimV dense_dim sparse_dim is_coalesced _nnz is_set_to "
    "_empty_affine_quantized _empty_per_channel_affine_quantized empty_quantized "
    "_fused_sdp_choice _has_same_storage_numel _new_zeros_with_same_feature_meta _print "
    "_linalg_check_errors _make_per_channel_quantized_tensor _make_per_tensor_quantized_tensor "
    "q_per_channel_axis q_per_channel_scales q_per_channel_zero_points qscheme _to_sparse_bsc "
    "_to_sparse_bsr _to_sparse_csc _to_sparse_csr _sparse_coo_tensor_with_dims "
    "_sparse_coo_tensor_with_dims_and_tensors _sparse_compressed_tensor_with_dims "
    "_validate_compressed_sparse_indices copy_sparse_to_sparse resize_as_sparse "
    "sparse_compressed_tensor sparse_coo_tensor sparse_mask _sparse_mask_projection sparse_resize "
    "sparse_resize_and_clear _sparse_sum _sparse_csr_sum _sparse_csr_prod _sparse_softmax "
    "_sparse_log_softmax record_stream from_file lu_unpack allclose _cudnn_ctc_loss "
    "_use_cudnn_ctc_loss _cummax_helper _cummin_helper _dirichlet_grad _standard_gamma_grad "
    "_fused_moving_avg_obs_fq_helper_functional _histogramdd_bin_edges _histogramdd_from_bin_cts "
    "_histogramdd_from_bin_tensors _spdiags _thnn_fused_lstm_cell_backward_impl "
    "batch_norm_backward_elemt batch_norm_backward_reduce cudnn_affine_grid_generator diagonal "
    "fft_fftfreq fft_rfftfreq unsafe_split unsafe_split_with_sizes mkldnn_reorder_conv2d_weight "
    "mkldnn_reorder_conv3d_weight _sobol_engine_draw _fill_mem_eff_dropout_mask".split()
)
"""Making, casting and moving data; bookkeeping, assertions, questions."""

FREE = frozenset().union(
    ELEMENT_WISE, RANDOM, LOSSES, SOFTMAX, NORMALISATION, REDUCTION, SORTING, POOLING, RESAMPLING,
    LOOK_UP, MOVING,
)  # fmt: skip

"""What torch's functions and layers do, by name: the one table that everybody asks.

To teach modelcli a new function, add its name to a line with the same traits, or add a line. A
layer whose name differs only in case is found too: ``nn.Flatten`` is ``flatten``. Imports no torch.
"""

from __future__ import annotations

from enum import Flag, auto
from functools import cache


class Trait(Flag):
    """Something that holds for a function whatever it is called with.

    Attributes:
        SILENT: answers a question about a tensor and computes nothing; it gets no row.
        PLUMBING: moves, casts or makes data and tells a reader little.
        PASSES: hands the values of its one input on as they are, or drops some of them.
        RESHAPES: keeps every value and their order, or repeats them.
        PERMUTES: swaps axes.
        JOINS: puts tensors behind one another along one axis.
        PARTS: takes a part of a tensor.
        REDUCES: makes one value of many along ``dim``, or of all of them.
        MIXES: lets values along ``dim`` (its second argument) depend on one another.
        LOOKS_EVERYWHERE: sees whole axes; that a shape stays the same proves nothing.
        CONVOLUTION: a convolution, transposed or not.
        DENSE: multiplies by a matrix.
        WEIGHTED: takes a weight behind its input.
        SAME_DTYPE: refuses floating tensors of two dtypes.
        ATTENTION: lets positions look at one another.
        ACTIVATION: acts on each value by itself, without a reach.
        RECTIFIES: an activation that is zero, with gradient zero, on a whole side.
        NORMALISATION: shifts and scales by statistics.
        DROPOUT: drops values in training.
        DRAWS_LIKE: makes random numbers of the shape of another tensor.
        CUTS_GRADIENT: what it makes has no gradient, and is meant to have none.
        CASTS: turns to another element type, and hands on what has it already.
        COPIES: moves the data even where only the shape changes.
        LAYS_OUT: moves the data unless it lies in order already.
        CROSSES_DEVICES: takes tensors of two devices everywhere: moving, indexing, lengths.
    """

    SILENT = auto()
    PLUMBING = auto()
    PASSES = auto()
    RESHAPES = auto()
    PERMUTES = auto()
    JOINS = auto()
    PARTS = auto()
    REDUCES = auto()
    MIXES = auto()
    LOOKS_EVERYWHERE = auto()
    CONVOLUTION = auto()
    DENSE = auto()
    WEIGHTED = auto()
    SAME_DTYPE = auto()
    ATTENTION = auto()
    ACTIVATION = auto()
    RECTIFIES = auto()
    NORMALISATION = auto()
    DROPOUT = auto()
    DRAWS_LIKE = auto()
    CUTS_GRADIENT = auto()
    CASTS = auto()
    COPIES = auto()
    LAYS_OUT = auto()
    CROSSES_DEVICES = auto()


NO_TRAITS = Trait(0)
_T = Trait

# Every name stands once. Case and underscores do not count, except in names with double ones.
WORDS: tuple[tuple[str, Trait], ...] = (
    # questions
    ("numel stride is_complex is_contiguous element_size get_device data_ptr storage_offset "
     "__len__ _set_grad_enabled is_tensor nelement ndimension untyped_storage storage __hash__ "
     "__repr__ __format__ __set__ _is_view is_inference is_conj is_neg result_type promote_types "
     "can_cast __torch_function__ is_grad_enabled __deepcopy__ has_names register_hook "
     "retain_grad finfo iinfo", _T.SILENT),
    ("dim is_floating_point", _T.SILENT | _T.CROSSES_DEVICES),
    ("size", _T.SILENT | _T.PLUMBING | _T.CROSSES_DEVICES),
    ("is_same_size", _T.SILENT | _T.PLUMBING),
    # making, moving and casting data
    ("alias and arange bool broadcast_tensors empty empty_like eq from_numpy full "
     "full_like ge gt invert iter le linspace logical_and logical_not logical_or lt ne not numpy "
     "ones ones_like or parameter requires_grad resize scalar_tensor short subclass zeros "
     "zeros_like", _T.PLUMBING),
    ("as_tensor copy cpu cuda data index_put new_empty new_full new_ones new_tensor new_zeros "
     "setitem tensor", _T.PLUMBING | _T.CROSSES_DEVICES),
    ("int long", _T.PLUMBING | _T.CUTS_GRADIENT | _T.CASTS),
    ("bfloat16", _T.PLUMBING | _T.CASTS),
    ("clone", _T.PLUMBING | _T.PASSES | _T.RESHAPES | _T.CROSSES_DEVICES | _T.COPIES),
    ("to", _T.PLUMBING | _T.PASSES | _T.RESHAPES | _T.CROSSES_DEVICES | _T.CASTS),
    ("detach", _T.PLUMBING | _T.PASSES | _T.RESHAPES | _T.CROSSES_DEVICES | _T.CUTS_GRADIENT),
    ("type", _T.PLUMBING | _T.PASSES | _T.RESHAPES | _T.CROSSES_DEVICES | _T.CASTS),
    ("expand squeeze unsqueeze broadcast_to", _T.PLUMBING | _T.PASSES | _T.RESHAPES),
    ("contiguous", _T.PLUMBING | _T.PASSES | _T.RESHAPES | _T.LAYS_OUT),
    ("float half double", _T.PLUMBING | _T.PASSES | _T.RESHAPES | _T.CASTS),
    ("view_as expand_as", _T.PLUMBING | _T.RESHAPES | _T.CROSSES_DEVICES),
    ("type_as", _T.PLUMBING | _T.RESHAPES | _T.CROSSES_DEVICES | _T.CASTS),
    ("get set rnn_tanh rnn_relu pack_padded_sequence pad_packed_sequence", _T.CROSSES_DEVICES),
    ("randn_like rand_like randint_like", _T.DRAWS_LIKE),
    # shapes
    ("view unflatten", _T.PASSES | _T.RESHAPES),
    ("flatten reshape ravel", _T.PASSES | _T.RESHAPES | _T.LAYS_OUT),
    ("reshape_as", _T.RESHAPES | _T.CROSSES_DEVICES),
    ("repeat", _T.RESHAPES | _T.COPIES),
    ("permute transpose movedim swapaxes swapdims t mT", _T.PASSES | _T.PERMUTES),
    ("identity", _T.PASSES),
    ("cat concat concatenate", _T.JOINS | _T.MIXES),
    ("chunk split narrow select", _T.PARTS),
    ("tensor_split", _T.PARTS | _T.CROSSES_DEVICES),
    ("getitem", _T.PARTS | _T.PLUMBING | _T.CROSSES_DEVICES),
    ("unbind", _T.PARTS | _T.PLUMBING),
    # along an axis
    ("mean sum std var max min amax amin norm logsumexp prod median nanmean nanmedian nansum",
     _T.REDUCES | _T.MIXES),
    ("argmax argmin", _T.REDUCES | _T.MIXES | _T.CUTS_GRADIENT),
    ("softmax softmin log_softmax cumsum cumprod flip roll sort argsort normalize",
     _T.MIXES | _T.LOOKS_EVERYWHERE),
    ("tensordot topk rot90 fft fft2 ifft2 rfft2 irfft2 grid_sample affine_grid gather scatter "
     "index_select take_along_dim embedding_bag rnn max_unpool1d max_unpool2d max_unpool3d "
     "transformer_encoder_layer transformer_decoder_layer", _T.LOOKS_EVERYWHERE),
    ("lstm gru", _T.LOOKS_EVERYWHERE | _T.CROSSES_DEVICES),
    ("multi_head_attention_forward multihead_attention", _T.ATTENTION | _T.LOOKS_EVERYWHERE),
    ("scaled_dot_product_attention", _T.ATTENTION | _T.LOOKS_EVERYWHERE | _T.SAME_DTYPE),
    # products with weights
    ("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
     _T.CONVOLUTION | _T.WEIGHTED | _T.SAME_DTYPE),
    ("linear lazy_linear non_dynamically_quantizable_linear",
     _T.DENSE | _T.WEIGHTED | _T.SAME_DTYPE),
    ("mm matmul addmm", _T.DENSE | _T.WEIGHTED | _T.SAME_DTYPE | _T.LOOKS_EVERYWHERE),
    ("bmm baddbmm addbmm", _T.WEIGHTED | _T.SAME_DTYPE | _T.LOOKS_EVERYWHERE),
    ("bilinear", _T.WEIGHTED | _T.SAME_DTYPE),
    ("einsum embedding", _T.WEIGHTED | _T.LOOKS_EVERYWHERE),
    # value by value
    ("relu relu6 threshold", _T.ACTIVATION | _T.RECTIFIES),
    ("leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid "
     "logsigmoid tanh softplus softsign tanhshrink softshrink hardshrink clamp", _T.ACTIVATION),
    ("batch_norm instance_norm layer_norm group_norm local_response_norm rms_norm",
     _T.NORMALISATION),
    ("dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout",
     _T.DROPOUT | _T.PASSES),
    ("stochastic_depth", _T.DROPOUT),
    ("round multinomial", _T.CUTS_GRADIENT),
)  # fmt: skip


def _key(name: str) -> str:
    dunder = name.startswith("__") and name.endswith("__")
    return name if dunder else name.replace("_", "").lower()


_TABLE = {_key(name): traits for names, traits in WORDS for name in names.split()}


@cache
def traits(name: str) -> Trait:
    """Return what is known of a function or a layer; ``NO_TRAITS`` for an unknown name.

    Args:
        name: as torch spells it: ``relu_``, ``__getitem__``, ``conv_transpose2d``, ``Flatten``.
    """
    own = _TABLE.get(_key(name))
    return own if own is not None else _TABLE.get(_key(name.strip("_")), NO_TRAITS)


def has(name: str, wanted: Trait) -> bool:
    """Tell whether a function or a layer has one of the wanted traits."""
    return bool(traits(name) & wanted)


@cache  # asked at every call of a pass, where comparing flags would be felt
def is_silent(name: str) -> bool:
    """Tell whether a function only answers a question about a tensor."""
    return has(name, Trait.SILENT)


@cache
def is_plumbing(name: str) -> bool:
    """Tell whether a function only moves, casts or makes data."""
    return has(name, Trait.PLUMBING)


def convolution_dims(base: str) -> int | None:
    """Return over how many axes a convolution slides (``conv2d``, ``Conv2d``); None for others."""
    return _CONVOLUTION_DIMS.get(base)


_CONVOLUTION_DIMS = {f"{letter}onv{n}d": n for n in (1, 2, 3) for letter in "Cc"}

"""What products with sparse tensors cost: one MAC for each stored value and what it meets.

Stored are the non-zeros, and the zeros inside the blocks of a blocked layout, which are multiplied
too. A strided nested tensor has its sequences' own sizes and no padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from modelcli.identity import stored_elements
from modelcli.loading.meta import is_empty
from modelcli.tracing.formulas import find_formula
from modelcli.tracing.varlen import UNKNOWN_LENGTHS

UNKNOWN_VALUES = "how many values a sparse tensor holds is not known without its values"
TOLD_BY_VALUES = frozenset((UNKNOWN_VALUES, UNKNOWN_LENGTHS))
UNKNOWN_LAYOUT = "no formula for sparse or nested tensors"

_BLOCKED = frozenset((torch.sparse_bsr, torch.sparse_bsc))
_SPARSE = _BLOCKED | {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc}
_OPERANDS = {  # where the two factors stand among an operation's arguments
    "addbmm": (1, 2), "addmm": (1, 2), "addmv": (1, 2), "_addmm_activation": (1, 2),
    "baddbmm": (1, 2), "bmm": (0, 1), "dot": (0, 1), "vdot": (0, 1), "hspmm": (0, 1),
    "linear": (0, 1), "matmul": (0, 1), "mm": (0, 1), "mv": (0, 1), "smm": (0, 1),
    "sspaddmm": (1, 2), "sparse_sampled_addmm": (1, 2), "_sparse_addmm": (1, 2),
    "_sparse_mm": (0, 1), "_sparse_mm_reduce_impl": (0, 1), "_sparse_sparse_matmul": (0, 1),
}  # fmt: skip

_FUSED = frozenset(("_transformer_encoder_layer_fwd", "_native_multi_head_attention"))


def is_special(args: Sequence[Any]) -> bool:
    """Tell whether a sparse or a strided nested tensor is among the arguments of an operation."""
    return any(_special(arg) for arg in args if isinstance(arg, Tensor))


def _special(tensor: Tensor) -> bool:
    return tensor.layout in _SPARSE or tensor.is_nested


def product_flops(func: Any, args: Sequence[Any]) -> int | str:
    """Return the FLOPs of a product with a sparse or nested factor, or why they are not known."""
    name = func._overloadpacket.__name__.rstrip("_")
    places = _OPERANDS.get(name)
    if places is None:
        return _one_by_one(func, args) if name in _FUSED else UNKNOWN_LAYOUT
    a, b = (args[place] for place in places)
    if a.is_nested or b.is_nested:
        return _nested_product(name, a, b)
    if any(is_empty(t) and t.layout in _SPARSE for t in args if isinstance(t, Tensor)):
        return UNKNOWN_VALUES
    if name == "sparse_sampled_addmm":
        return int(2 * stored_elements(args[0]) * a.shape[-1])
    if name == "linear":
        if a.layout in _SPARSE:
            return UNKNOWN_LAYOUT if b.layout in _SPARSE else 2 * stored_elements(a) * len(b)
        return int(2 * stored_elements(b) * math.prod(a.shape[:-1]))
    return _plain_product(a, b)


def _plain_product(a: Tensor, b: Tensor) -> int | str:
    if a.layout in _SPARSE and b.layout in _SPARSE:
        return _both_sparse(a, b)
    if a.layout in _SPARSE:
        return int(2 * stored_elements(a) * (b.shape[-1] if b.dim() > 1 else 1))
    if b.layout in _SPARSE:
        return int(2 * stored_elements(b) * (a.shape[-2] if a.dim() > 1 else 1))
    return int(2 * a.numel() * (b.shape[-1] if b.dim() > 1 else 1))


def _both_sparse(a: Tensor, b: Tensor) -> int | str:
    """Each value in column k of the one meets every value in row k of the other."""
    if a.dim() != 2 or b.dim() != 2 or {a.layout, b.layout} & _BLOCKED:
        return UNKNOWN_LAYOUT
    columns = _indices(a)[1].bincount(minlength=a.shape[1])
    rows = _indices(b)[0].bincount(minlength=b.shape[0])
    return int(2 * (columns * rows).sum())


def _indices(tensor: Tensor) -> Tensor:
    """Return the row and the column of every stored value of a matrix."""
    coo = tensor if tensor.layout is torch.sparse_coo else tensor.to_sparse()
    return coo._indices()


def nested_sizes(tensor: Tensor) -> list[tuple[int, ...]]:
    """Return the shape of every part of a strided nested tensor."""
    sizes = tensor._nested_tensor_size()
    return [tuple(size) for size in sizes.tolist()]


def _nested_product(name: str, a: Tensor, b: Tensor) -> int | str:
    if name == "linear" and a.is_nested and not b.is_nested:
        return 2 * sum(math.prod(size) for size in nested_sizes(a)) * b.shape[0]
    if name not in ("bmm", "matmul"):
        return UNKNOWN_LAYOUT
    return 2 * sum(
        math.prod(left) * right[-1] for left, right in zip(_parts(a), _parts(b), strict=False)
    )


def _one_by_one(func: Any, args: Sequence[Any]) -> int | str:
    """Add up what a fused layer costs for each sequence alone."""
    formula = find_formula(func)
    if formula is None or not (isinstance(args[0], Tensor) and args[0].is_nested):
        return UNKNOWN_LAYOUT
    total = 0
    for size in nested_sizes(args[0]):
        one = torch.empty((1, *size), device="meta")
        alone = [one if isinstance(arg, Tensor) and arg.is_nested else arg for arg in args]
        total += int(formula(*alone, out_val=None))
    return total


def _parts(tensor: Tensor) -> Iterator[tuple[int, ...]]:
    if tensor.is_nested:
        return iter(nested_sizes(tensor))
    shape = tuple(tensor.shape)
    return iter([shape[1:]] * shape[0])


def without_layout(value: Any) -> Any:
    """Return a dense twin on meta of a sparse tensor on meta; anything else as it is."""
    if isinstance(value, Tensor) and value.layout in _SPARSE and value.is_meta:
        return torch.empty(value.shape, dtype=value.dtype, device="meta")
    return value

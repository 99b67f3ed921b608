"""What a function of torch says of an input: the other operand of a product, a weight, a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from modelcli.loading.inference.shapes import Dim
from modelcli.loading.inference.takes import Takes, channels, ids_below, weight_dtype

_PRODUCTS = frozenset({"matmul", "mm", "bmm", "__matmul__", "rmatmul", "__rmatmul__"})


def function_takes(name: str, operands: Sequence[Any], place: int) -> Takes | None:
    """Return what fits into one operand of a function whose others are known.

    Args:
        name: the function's or the method's own name.
        operands: tensors where they are known, anything else where they are not.
        place: which of them is asked for.
    """
    known = [(n, t) for n, t in enumerate(operands) if isinstance(t, torch.Tensor)]
    if name == "einsum":
        return _einsum(operands, place)
    if not known:
        return None
    if name in _PRODUCTS:
        return _product(name, known[0][1], place)
    weight = known[0][1]
    if name in ("mv",) and place == 1:
        return _takes(((weight.shape[1],),), weight, weight.shape[1])
    if name in ("addmm", "baddbmm") and place == 1 and operands[2:]:
        return _product("mm", known[-1][1], 0)
    if place != 0:
        return None
    if name == "linear" and weight.dim() == 2:
        return _rows(weight.shape[1], weight)
    if name == "bilinear":
        return _rows(weight.shape[1], weight)
    if name in ("embedding", "embedding_bag"):
        return ids_below(weight.shape[0])
    if name in ("conv1d", "conv2d", "conv3d"):
        groups = next((o for o in operands[6:7] if isinstance(o, int)), 1)
        return channels(weight.dim() - 2, weight.shape[1] * groups, dtype=weight_dtype(weight))
    if name in ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"):
        return channels(weight.dim() - 2, weight.shape[0], dtype=weight_dtype(weight))
    return None


def custom_takes(operands: Sequence[Any]) -> Takes | None:
    """Guess what an operation nobody knows takes beside a matrix: its rows, then its columns."""
    matrices = [t for t in operands if isinstance(t, torch.Tensor) and t.dim() == 2]
    if not matrices:
        return None
    rows, columns = matrices[0].shape
    shapes: tuple[tuple[Dim, ...], ...] = (("B", rows), ("B", columns))
    return Takes(shapes=shapes, says=f"stands beside a matrix of {rows}x{columns}")


def _rows(count: int, weight: torch.Tensor) -> Takes:
    return _takes((("B", count), ("B", "L", count), ("B", "H", "W", count)), weight, count)


def _takes(shapes: tuple[tuple[Dim, ...], ...], weight: torch.Tensor, count: int) -> Takes:
    return Takes(shapes=shapes, says=f"takes {count} features", dtype=weight_dtype(weight))


def _product(name: str, other: torch.Tensor, place: int) -> Takes | None:
    if other.dim() == 0:
        return None
    left = place == 0
    if name.endswith("rmatmul__") or name == "rmatmul":
        left = not left
    inner = int(other.shape[-2] if left and other.dim() > 1 else other.shape[-1])
    if not left:
        shapes: tuple[tuple[Dim, ...], ...] = ((inner, "L"), ("B", inner, "L"), (inner,))
    elif name == "mm":
        shapes = (("B", inner),)
    elif name == "bmm":
        shapes = ((int(other.shape[0]), "L", inner),)
    else:
        shapes = (("B", inner), ("B", "L", inner), ("B", "H", "W", inner))
    return _takes(shapes, other, inner)


def _einsum(operands: Sequence[Any], place: int) -> Takes | None:
    """Read the sizes of the letters off the operands that are known."""
    if not operands or not isinstance(operands[0], str) or place == 0:
        return None
    terms = operands[0].replace(" ", "").split("->")[0].split(",")
    tensors = list(operands[1:])
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = list(tensors[0])
    if place - 1 >= len(terms) or "." in operands[0]:
        return None
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, tensors, strict=False):
        if isinstance(tensor, torch.Tensor) and tensor.dim() == len(term):
            sizes.update(zip(term, tensor.shape, strict=True))
    letters = terms[place - 1]
    free = {"b": "B", "h": "H", "w": "W"}
    shape: list[Dim] = [
        sizes[x] if x in sizes else free.get(x, "B" if n == 0 else "L")
        for n, x in enumerate(letters)
    ]
    fixed = [sizes[x] for x in letters if x in sizes]
    says = f"takes {fixed[-1]} features" if fixed else f"has {len(letters)} dimensions"
    return Takes(shapes=(tuple(shape),), says=says)

"""How many elements a contraction gives: what fvcore and timm call activations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from modelcli.nested import tensors_in


def activations_of(func: Any, args: Sequence[Any], output: Any) -> tuple[int, int]:
    """Return the elements and the bytes of what a contraction gave.

    These are the elements of its first output and, of a fused attention, its scores: unfused they
    are the output of a product of matrices, and the two ways must not differ.
    Source: fvcore.nn.activation_count, which timm's ``macts`` come from.
    """
    first = next(tensors_in(output), None)
    if first is None:
        return 0, 0
    elements = first.numel() + _scores(func, args)
    return elements, elements * first.element_size()


def _scores(func: Any, args: Sequence[Any]) -> int:
    if "attention" not in func.__name__ or len(args) < 3:
        return 0
    q, k = args[0], args[1]
    if not (isinstance(q, torch.Tensor) and isinstance(k, torch.Tensor) and q.dim() == 4):
        return 0
    return math.prod(q.shape[:3]) * k.shape[2]

"""Operations between an input and the layer that tells its size, turned round.

A step maps the shapes that a layer takes to those that go in before it. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelcli.loading.inference.patterns import before
from modelcli.loading.inference.shapes import Dim, Dims

_SQUARE_CHANNELS = (1, 3)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation that changes the order or the number of dimensions.

    Attributes:
        kind: ``swap``, ``permute``, ``drop``, ``add``, ``pick``, ``flatten``, ``as``, ``einops`` or
            ``?``.
        at: dimensions, the sizes of ``as``, or the pattern and the lengths of ``einops``; None
            where they are not known.
    """

    kind: str
    at: tuple[Any, ...] = ()


def step_of(name: str, arguments: Sequence[Any]) -> Step | None:
    """Return the step of a tensor's method; None for one that keeps the shape.

    Args:
        name: of the method or function.
        arguments: without the tensor; what is not a plain number is no int.
    """
    flat = tuple(arguments[0]) if _is_list(arguments) else tuple(arguments)
    whole = all(isinstance(a, int) for a in flat)
    if name in ("transpose", "swapaxes", "swapdims"):
        return Step("swap", flat[:2]) if whole and len(flat) >= 2 else Step("?")
    if name in ("t", "mT", "T", "mH", "H", "adjoint"):
        return Step("swap", (-2, -1))
    if name == "permute":
        return Step("permute", flat) if whole and flat else Step("?")
    if name == "unsqueeze":
        return Step("drop", flat[:1]) if whole and flat else Step("?")
    if name == "squeeze":
        return Step("add", flat[:1]) if whole and flat else Step("?")
    if name in ("mean", "sum", "amax", "amin", "max", "min", "logsumexp", "prod", "std", "var"):
        dims = flat[0] if flat and _is_list(flat[:1]) else flat[:1]
        dims = (dims,) if isinstance(dims, int) else tuple(dims)
        return Step("pick", dims) if dims and all(type(d) is int for d in dims) else Step("?")
    if name == "select":
        return Step("pick", flat[:1]) if flat and isinstance(flat[0], int) else Step("?")
    if name in ("flatten", "ravel", "Flatten"):
        return _flatten(flat if whole else (1,), default=1 if name == "Flatten" else 0)
    if name in ("view", "reshape"):
        return _view(flat)
    return Step("?") if name in _SHAPING else None


_SHAPING = frozenset(
    "unfold repeat expand unflatten tile repeat_interleave stack gather argmax sort "
    "topk diff stft fft rfft view_as_complex view_as reshape_as Unflatten Unfold Fold Rearrange "
    "PixelShuffle PixelUnshuffle one_hot movedim moveaxis roll_ cat concat rearrange".split()
)


def pattern_step(pattern: Any, lengths: Any) -> Step | None:
    """Return the step of a call or a layer of einops; None where there is no pattern."""
    if not isinstance(pattern, str) or pattern.count("->") != 1:
        return None
    known = {k: v for k, v in lengths.items() if type(v) is int} if lengths else {}
    return Step("einops", (pattern, tuple(known.items())))


def _is_list(arguments: Sequence[Any]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], (tuple, list))


def _flatten(flat: tuple[Any, ...], default: int) -> Step:
    start = flat[0] if flat else default
    end = flat[1] if len(flat) > 1 else -1
    return Step("flatten", (start,)) if end == -1 else Step("?")


def _view(flat: tuple[Any, ...]) -> Step:
    if len(flat) == 2 and (flat[1] == -1 or isinstance(flat[1], int)):
        return Step("flatten", (1,))
    if len(flat) == 1:
        return Step("flatten", (0,))
    inner = flat[1:]
    if all(isinstance(size, int) and size > 0 for size in inner):
        return Step("as", inner)
    return Step("?")


def undo(shape: Dims, steps: Sequence[Step]) -> list[Dims] | None:
    """Return the shapes that become this one by the steps; None where nobody can tell."""
    shapes = [shape]
    for step in reversed(steps):
        found = [before for after in shapes for before in _before(after, step) or ()]
        if not found:
            return None
        shapes = list(dict.fromkeys(found))
    return shapes


def _before(shape: Dims, step: Step) -> list[Dims] | None:
    dims, rank = list(shape), len(shape)
    if step.kind == "swap":
        a, b = (at + rank if at < 0 else at for at in step.at)
        if not (0 <= a < rank and 0 <= b < rank):
            return None
        dims[a], dims[b] = dims[b], dims[a]
        return [_renamed(dims)]
    if step.kind == "permute":
        if len(step.at) != rank or sorted(at % rank for at in step.at) != list(range(rank)):
            return None
        for place, at in enumerate(step.at):
            dims[at % rank] = shape[place]
        return [_renamed(dims)]
    if step.kind == "drop":
        at = step.at[0] % rank
        return [tuple(dims[:at] + dims[at + 1 :])] if _may_be_one(shape[at]) else None
    if step.kind == "add":
        at = step.at[0] if step.at[0] >= 0 else step.at[0] + rank + 1
        return [(*dims[:at], 1, *dims[at:])]
    if step.kind == "pick":
        for at in sorted(at if at >= 0 else at + rank + len(step.at) for at in step.at):
            dims.insert(at, "L")
        return [tuple(dims)]
    if step.kind == "einops":
        return before(shape, step.at[0], dict(step.at[1]))
    if step.kind == "as":
        numel = math.prod(step.at)
        return [("B", numel), ("B", *step.at)]
    return _unflattened(shape, step) if step.kind == "flatten" else None


def _may_be_one(dim: Dim) -> bool:
    return dim == 1 or isinstance(dim, str)


def _renamed(dims: Sequence[Dim]) -> Dims:
    return tuple(dims)


def _unflattened(shape: Dims, step: Step) -> list[Dims]:
    """Return what gives so many features in a row: a square image if it can be one, or the row."""
    features = shape[-1]
    if not isinstance(features, int):
        return [shape]
    images: list[Dims] = []
    for channels in _SQUARE_CHANNELS:
        side = math.isqrt(features // channels)
        if channels * side * side == features and side >= 8:
            images.append(("B", channels, side, side))
    row: Dims = ("B", features) if step.at[0] else (features,)
    return [*images, row]

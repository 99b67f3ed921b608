"""What einops is told, turned round: ``b c (h p) (w q) -> b (h w) (p q c)``. Imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from modelcli.loading.inference.shapes import Dim, Dims

_SPATIAL = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


def axes_of(side: str) -> list[tuple[str, ...]] | None:
    """Return the axes of one side of a pattern, those in brackets together; None for any number."""
    if "..." in side or "," in side:
        return None
    found = re.findall(r"\([^)]*\)|\S+", side)
    return [tuple(token.strip("()").split()) for token in found]


def before(after: Dims, pattern: str, lengths: Mapping[str, Any]) -> list[Dims] | None:
    """Return the shape that a pattern turns into another; None where nobody can tell.

    Args:
        lengths: of axes, as the call gives them.
    """
    left, right = (axes_of(side) for side in pattern.split("->"))
    if left is None or right is None or len(right) != len(after):
        return None
    sizes = {name: size for name, size in lengths.items() if type(size) is int}
    letters: dict[str, Dim] = {}
    for group, dim in zip(right, after, strict=True):
        open_axes = [axis for axis in group if axis not in sizes and axis != "1"]
        if isinstance(dim, int):
            known = math.prod(sizes.get(axis, 1) for axis in group)
            if dim % known or (not open_axes and dim != known):
                return None
            if len(open_axes) == 1:
                sizes[open_axes[0]] = dim // known
        elif len(open_axes) == 1:
            letters[open_axes[0]] = dim
    return [_named([_size(group, sizes, letters) for group in left])]


def _size(group: tuple[str, ...], sizes: Mapping[str, int], letters: Mapping[str, Dim]) -> Dim:
    """Return the size of a dimension of so many axes; ``?`` where it is free."""
    if all(axis in sizes or axis == "1" for axis in group):
        return math.prod(sizes.get(axis, 1) for axis in group)
    return letters.get(group[0], "?") if len(group) == 1 else "?"


def _named(dims: list[Dim]) -> Dims:
    """Give free dimensions letters: samples first, then those of an image or a sequence."""
    free = [at for at, dim in enumerate(dims) if dim == "?" or (at and dim == "L")]
    if dims and dims[0] == "?":
        dims[0] = "B"
        free = free[1:]
    for at, letter in zip(free, _SPATIAL.get(len(free), ("L",) * len(free)), strict=True):
        dims[at] = letter
    return tuple(dims)

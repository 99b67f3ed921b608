"""The inverse of a whole stack: which input sizes end as a wanted output size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelcli.feature_maps.record import Ranges
from modelcli.feature_maps.refusal import ShapeError
from modelcli.feature_maps.stack import MakeLayer, final_shape

LARGEST_INPUT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs that lead to an output.

    Attributes:
        output: the size that was asked for.
        sizes: the input sizes, as inclusive ranges.
        nearest: the closest outputs below and above, where none leads there.
    """

    output: int
    sizes: Ranges
    nearest: tuple[int, ...] = ()


def inputs_for(makers: Sequence[MakeLayer], output: int, *, dims: int, channels: int = 1) -> Inputs:
    """Return which square inputs a stack turns into a map of side ``output``.

    Every size up to 4096 is tried: a stack with ``same``, adaptive layers and ceilings need not
    grow evenly, and trying is fast.
    """
    sizes: list[tuple[int, int]] = []
    below, above = 0, 0
    for size in range(1, LARGEST_INPUT + 1):
        reached = _side(makers, size, dims, channels)
        if reached is None:
            continue
        if reached == output:
            if sizes and sizes[-1][1] == size - 1:
                sizes[-1] = (sizes[-1][0], size)
            else:
                sizes.append((size, size))
        elif reached < output:
            below = max(below, reached)
        else:
            above = min(above, reached) if above else reached
            if reached > 2 * output + 64:
                break
    nearest = tuple(size for size in (below, above) if size)
    return Inputs(output=output, sizes=tuple(sizes), nearest=nearest)


def _side(makers: Sequence[MakeLayer], size: int, dims: int, channels: int) -> int | None:
    try:
        shape = final_shape(makers, (channels, *(size,) * dims))
    except ShapeError:
        return None
    return shape[-1]

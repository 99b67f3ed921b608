"""Interpolation worked out: where a cell looks, and the weights of its corners."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from modelcli.running.explain.text import Cell, Worked, bracketed, number, show_number
from modelcli.running.explain.windows import per_axis


def _interpolate(
    cell: Cell,
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Worked | None:
    axes = input.dim() - 2
    if antialias or mode not in ("nearest", "linear", "bilinear", "trilinear"):
        return None
    plane = input[tuple(cell[:2])]
    factors = _factors(scale_factor, axes)
    outputs = (
        per_axis(size, axes)
        if size is not None
        else tuple(math.floor(n * f) for n, f in zip(plane.shape, factors, strict=True))
    )
    use_factor = scale_factor is not None and not recompute_scale_factor
    corners: list[list[tuple[int, float]]] = []
    lines = [f"mode {mode}" + ("" if mode == "nearest" else f", align_corners={align_corners}")]
    for axis, (place, n, o) in enumerate(zip(cell[2:], plane.shape, outputs, strict=True)):
        step = 1 / factors[axis] if use_factor else n / o
        if mode == "nearest":
            source = min(math.floor(place * step), n - 1)
            lines.append(f"axis {axis}   floor({place} * {show_number(step)}) = {source}")
            corners.append([(source, 1.0)])
            continue
        if align_corners:
            step = (n - 1) / (o - 1) if o > 1 else 0.0
            source_at = place * step
            how = f"{place} * ({n} - 1) / ({o} - 1)"
        else:
            source_at = max(0.0, (place + 0.5) * step - 0.5)
            how = f"({place} + 0.5) * {show_number(step)} - 0.5"
            how = how if (place + 0.5) * step >= 0.5 else f"max(0, {how})"
        low = min(math.floor(source_at), n - 1)
        high = min(low + 1, n - 1)
        share = source_at - low
        lines.append(
            f"axis {axis}   {how} = {show_number(source_at)}: "
            f"{show_number(1 - share)} of {low} and {show_number(share)} of {high}"
        )
        corners.append([(low, 1 - share), (high, share)])
    total = 0.0
    terms = []
    for chosen in itertools.product(*corners):
        weight = math.prod(w for _, w in chosen)
        index = tuple(p for p, _ in chosen)
        value = number(plane[index])
        total += weight * value
        shown = ",".join(map(str, index))
        terms.append(f"{show_number(weight)} * input[{shown}] {bracketed(value)}")
    lines += ["", *(f"  {term}" for term in terms)]
    return Worked(tuple(lines), total)


def _factors(scale_factor: Any, axes: int) -> tuple[float, ...]:
    if scale_factor is None:
        return (1.0,) * axes
    given = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * axes
    return tuple(float(factor) for factor in given)


RESIZING: dict[str, Callable[..., Worked | None]] = {"interpolate": _interpolate}

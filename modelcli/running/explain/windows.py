"""Windows worked out: convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modelcli.running.explain.text import (
    Cell,
    Worked,
    number,
    show_number,
    side_by_side,
    written_matrix,
)

_MOST_MATRICES = 3  # channels whose windows are written out


def per_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Return an option of torch with one number for each axis."""
    if isinstance(value, int):
        return (value,) * axes
    return tuple(value) * (axes if len(value) == 1 else 1)


@dataclass(frozen=True, slots=True)
class _Window:
    """The places of the input that one output cell sees, per spatial axis."""

    places: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]

    def take(self, planes: Tensor, fill: float) -> Tensor:
        """Return the window of every plane (C, *sizes); places outside hold ``fill``."""
        taken = planes
        for axis, (places, size) in enumerate(zip(self.places, self.sizes, strict=True), start=1):
            index = torch.tensor([min(max(p, 0), size - 1) for p in places], device=planes.device)
            outside = torch.tensor([not 0 <= p < size for p in places], device=planes.device)
            taken = taken.index_select(axis, index)
            shape = [1] * taken.dim()
            shape[axis] = len(places)
            taken = taken.masked_fill(outside.reshape(shape), fill)
        return taken

    @property
    def padded(self) -> int:
        """How many of the window's cells lie in the padding."""
        inside = [
            sum(0 <= p < n for p in ps) for ps, n in zip(self.places, self.sizes, strict=True)
        ]
        return math.prod(len(places) for places in self.places) - math.prod(inside)

    def words(self) -> str:
        """Say where the window lies: ``rows 4..8, columns 0..4``."""
        names = {1: ("places",), 2: ("rows", "columns"), 3: ("planes", "rows", "columns")}
        parts = []
        for name, places in zip(names[len(self.places)], self.places, strict=True):
            step = places[1] - places[0] if len(places) > 1 else 1
            every = f" in steps of {step}" if step != 1 else ""
            parts.append(f"{name} {places[0]}..{places[-1]}{every}")
        extra = f" ({self.padded} of its cells are padding)" if self.padded else ""
        return ", ".join(parts) + extra


def _sliding(
    position: Sequence[int],
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> _Window:
    places = tuple(
        tuple(p * s - pad + k * d for k in range(width))
        for p, s, pad, width, d in zip(position, stride, padding, kernel, dilation, strict=True)
    )
    return _Window(places=places, sizes=tuple(sizes))


def _convolution(
    cell: Cell,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Worked:
    axes = weight.dim() - 2
    batched = input if input.dim() == axes + 2 else input.unsqueeze(0)
    *lead, channel = cell[: len(cell) - axes]
    sample = batched[lead[0] if lead else 0]
    kernel, steps = weight.shape[2:], per_axis(stride, axes)
    widening = per_axis(dilation, axes)
    if isinstance(padding, str):
        whole = [d * (k - 1) for k, d in zip(kernel, widening, strict=True)]
        pads = tuple(n // 2 for n in whole) if padding == "same" else (0,) * axes
    else:
        pads = per_axis(padding, axes)
    window = _sliding(cell[-axes:], sample.shape[1:], kernel, steps, pads, widening)
    per_group = sample.shape[0] // groups
    channel %= weight.shape[0]
    first = (channel // (weight.shape[0] // groups)) * per_group
    seen = window.take(sample[first : first + per_group], 0.0)
    products = seen * weight[channel]
    total = number(products.sum())
    offset = number(bias[channel]) if bias is not None else 0.0
    channels = (
        f"channel {first}" if per_group == 1 else f"channels {first}..{first + per_group - 1}"
    )
    lines = [f"window   {channels}, {window.words()}"]
    for plane in range(min(per_group, _MOST_MATRICES)):
        blocks = [
            (f"input, channel {first + plane}", written_matrix(seen[plane])),
            ("kernel", written_matrix(weight[channel, plane])),
            ("product", written_matrix(products[plane])),
        ]
        lines += ["", *side_by_side(blocks)]
        lines.append(f"sum of the products {show_number(number(products[plane].sum()))}")
    if per_group > _MOST_MATRICES:
        rest = number(products[_MOST_MATRICES:].sum())
        lines += ["", f"the other {per_group - _MOST_MATRICES} channels {show_number(rest)}"]
    lines += ["", f"all products {show_number(total)}"]
    if bias is not None:
        lines.append(f"plus bias[{channel}] {show_number(offset)}")
    return Worked(tuple(lines), total + offset)


def _pool(cell: Cell, input: Tensor, window: _Window, *, kind: str, count: int | None) -> Worked:
    axes = len(window.places)
    plane = input[tuple(cell[:-axes])].unsqueeze(0)
    fill = -math.inf if kind == "max" else 0.0
    seen = window.take(plane, fill)[0]
    lines = [f"window   {window.words()}", "", *written_matrix(seen), ""]
    if kind == "max":
        value = number(seen.max())
        lines.append(f"the largest is {show_number(value)}")
        return Worked(tuple(lines), value)
    total = number(seen.sum())
    divisor = count or seen.numel()
    lines.append(f"the mean is {show_number(total)} / {divisor}")
    return Worked(tuple(lines), total / divisor)


def _pooling(axes: int, kind: str) -> Callable[..., Worked]:
    def max_pool(
        cell: Cell,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Worked:
        window = _pool_window(cell, input, axes, kernel_size, stride, padding, dilation)
        return _pool(cell, input, window, kind="max", count=None)

    def avg_pool(
        cell: Cell,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Worked:
        window = _pool_window(cell, input, axes, kernel_size, stride, padding, 1)
        counted = _counted_cells(window, per_axis(padding, axes), count_include_pad)
        return _pool(cell, input, window, kind="mean", count=divisor_override or counted)

    return max_pool if kind == "max" else avg_pool


def _pool_window(
    cell: Cell, input: Tensor, axes: int, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> _Window:
    width = per_axis(kernel, axes)
    steps = width if stride in (None, (), []) else per_axis(stride, axes)
    return _sliding(
        cell[-axes:],
        input.shape[-axes:],
        width,
        steps,
        per_axis(padding, axes),
        per_axis(dilation, axes),
    )


def _counted_cells(window: _Window, padding: Sequence[int], include_padding: bool) -> int:
    """Count what a mean divides by: cells beyond the padding (``ceil_mode``) never count."""
    reach = padding if include_padding else (0,) * len(window.sizes)
    inside = [
        sum(-pad <= place < size + pad for place in places)
        for places, size, pad in zip(window.places, window.sizes, reach, strict=True)
    ]
    return math.prod(inside)


def _adaptive(axes: int, kind: str) -> Callable[..., Worked]:
    def adaptive_pool(
        cell: Cell, input: Tensor, output_size: Any, return_indices: bool = False
    ) -> Worked:
        sizes = input.shape[-axes:]
        wanted = per_axis(output_size, axes)
        outputs = [n if o is None else o for o, n in zip(wanted, sizes, strict=True)]
        places = tuple(
            tuple(range(p * n // o, -(-(p + 1) * n // o)))  # floor(i*n/o) to ceil((i+1)*n/o)
            for p, n, o in zip(cell[-axes:], sizes, outputs, strict=True)
        )
        return _pool(cell, input, _Window(places, tuple(sizes)), kind=kind, count=None)

    return adaptive_pool


WINDOWS: dict[str, Callable[..., Worked | None]] = {
    **{f"conv{axes}d": _convolution for axes in (1, 2, 3)},
    **{f"max_pool{axes}d": _pooling(axes, "max") for axes in (1, 2, 3)},
    **{f"avg_pool{axes}d": _pooling(axes, "mean") for axes in (1, 2, 3)},
    **{f"adaptive_avg_pool{axes}d": _adaptive(axes, "mean") for axes in (1, 2, 3)},
    **{f"adaptive_max_pool{axes}d": _adaptive(axes, "max") for axes in (1, 2, 3)},
}

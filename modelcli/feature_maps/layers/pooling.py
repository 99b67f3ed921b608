"""Pooling: max, average and Lp with ``ceil_mode``, adaptive and fractional to a size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Literal

from modelcli.feature_maps.layers.layer import Sizes, SpatialLayer, WindowLayer, require
from modelcli.feature_maps.reach import Reach, from_cells
from modelcli.feature_maps.record import AxisName, AxisResult
from modelcli.feature_maps.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling(WindowLayer):
    """A pooling: ``out = floor((in + 2p - d(k - 1) - 1) / s) + 1``, or ``ceil``.

    Attributes:
        padding: cells added on both sides, at most half of the kernel.
        ceil_mode: round up, so that a last window may hang over the end.
    """

    kind: Literal["Max", "Avg", "LP"]
    stride: Sizes | None = None
    ceil_mode: bool = False
    TYPE = "{0.kind}Pool{0.dims}d"

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        require(size, 1, axis.name)
        window = self.window(index)
        if self.dims == 3 and self.kind != "Max" and size < window.kernel:
            # a rule of avg_pool3d alone: neither padding nor ceil_mode helps a small input
            raise Refusal(
                f"in three dimensions {axis.name} {size} must hold the whole kernel of "
                f"{window.kernel}, padding aside",
                smallest=window.kernel,
            )
        return replace(window, ceil=self.ceil_mode).result(size, axis)

    def _pads(self, index: int, kernel: int, dilation: int) -> tuple[int, int]:
        padding = self._number("padding", index, 0)
        most = kernel // 2  # of the kernel itself, also where a dilation makes it span more
        if padding > most:
            raise Refusal(
                f"padding {padding} is more than half of the kernel {kernel}, so a window could "
                "hold nothing but padding",
                f"no input size works with it: set the padding to {most} or less, or pad "
                "beforehand",
            )
        return padding, padding


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptivePooling(SpatialLayer):
    """An adaptive pooling: cell i takes ``floor(i*in/out)`` to ``ceil((i + 1)*in/out) - 1``.

    Attributes:
        output_size: one number or one per axis; None keeps that axis.
    """

    kind: Literal["Max", "Avg"]
    output_size: int | Sequence[int | None] | None = None
    TYPE = "Adaptive{0.kind}Pool{0.dims}d"

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        out = self._wanted(index, size)
        require(size, 1, axis.name)
        if out < 0:
            raise Refusal(f"output_size is {out}", "it cannot be below 0")
        if out == 0:
            raise Refusal("output_size is 0, and nothing is left", "ask for 1 or more")
        each = size // out if size % out == 0 else None
        if each is not None:
            formula = f"{out} windows of {size} / {out} = {each} each: {out}"
            step = (f"{axis.count(size)} shared among {out}", f"{size} / {out} = {each} each")
        else:
            cells = f"cell i sees floor(i*{size}/{out}) to ceil((i + 1)*{size}/{out}) - 1"
            formula = f"{cells} = {out}"
            step = (f"{cells}; the last", f"{(out - 1) * size // out} to {size - 1}")
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=out,
            kernel=each,
            stride=each,
            dilation=None if each is None else 1,
            formula=formula,
            rule="as asked",
            steps=((f"asked for {axis.count(out)}", f"{out}"), step),
            reach=adaptive_reach(size, out),
        )

    def _wanted(self, index: int, size: int) -> int:
        asked = self.output_size
        sizes = (asked,) if asked is None or isinstance(asked, int) else tuple(asked)
        if len(sizes) not in (1, self.dims):
            raise Refusal(
                f"output_size has {len(sizes)} numbers for {self.dims} axes",
                f"give one number, or {self.dims}",
            )
        wanted = sizes[index if len(sizes) > 1 else 0]
        return size if wanted is None else wanted


def adaptive_reach(size: int, out: int) -> Reach:
    """Return what each cell of an adaptive pooling sees."""
    shared = gcd(size, out)
    cells = [(i * size // out, -(-(i + 1) * size // out) - 1) for i in range(out // shared)]
    return from_cells(cells, size // shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionalPooling(SpatialLayer):
    """A fractional max pooling: windows of one size at random, nearly even distances.

    The output has ``output_size``, or ``output_ratio`` (above 0, below 1) of the input's size.
    """

    kernel_size: Sizes
    output_size: Sizes | None = None
    output_ratio: float | Sequence[float] | None = None
    TYPE = "FractionalMaxPool{0.dims}d"

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        out, asked = self._wanted(index, size)
        kernel = self._number("kernel_size", index, 1)
        if out < 1:
            raise Refusal(f"{axis.name} {size} gives {out}, and nothing is left", smallest=None)
        spare = kernel - 1 + (self.dims == 3)  # fractional_max_pool3d compares with <, 2d with <=
        if out + spare > size:
            fitting = (
                n for n in range(kernel, 10_000) if 1 <= self._wanted(index, n)[0] <= n - spare
            )
            raise Refusal(
                f"{out} windows of {kernel} at different places need {out + spare}, "
                f"and {axis.name} is {size}",
                smallest=next(fitting, None),
            )
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=out,
            kernel=kernel,
            formula=f"{asked} = {out}",
            rule="as asked, or floor(in * ratio)",
            steps=((asked, axis.count(out)),),
            reach=_fractional_reach(size, out, kernel),
        )

    def _wanted(self, index: int, size: int) -> tuple[int, str]:
        if self.output_size is not None:
            return self._number("output_size", index, 0), "asked for"
        if self.output_ratio is None:
            raise Refusal("it has no output_size and no output_ratio", "give it one of the two")
        ratios = self.output_ratio
        ratio = ratios if isinstance(ratios, (int, float)) else tuple(ratios)[index]
        if not 0 < ratio < 1:
            raise Refusal(f"output_ratio is {ratio}", "it must be above 0 and below 1")
        return int(size * ratio), f"floor({size} * {ratio})"


def _fractional_reach(size: int, out: int, kernel: int) -> Reach:
    """Return all that a cell may see, whatever the random offset."""
    room, moves = size - kernel, out - 1
    if moves == 0:
        return Reach((size - kernel,), (size - 1,), size)
    shared = gcd(room, moves)
    cells = [
        (i * room // moves, -(-i * room // moves) + kernel - 1) for i in range(moves // shared)
    ]
    return from_cells(cells, room // shared)

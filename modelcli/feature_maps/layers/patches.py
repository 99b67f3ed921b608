"""Unfold and fold, windows as columns and back; pixel shuffle, channels as places and back."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from modelcli.feature_maps.layers.layer import Layer, Sizes, WindowLayer, per_axis, require
from modelcli.feature_maps.reach import Reach
from modelcli.feature_maps.record import AxisName, AxisResult, LayerResult, Shape, axis_names
from modelcli.feature_maps.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfold(WindowLayer):
    """Every window of a C x H x W map as one column: ``(B, C * kh * kw, windows)``."""

    dims: int = 2
    TYPE = "Unfold"

    def _apply(self, shape: Shape) -> LayerResult:
        self._check_rank(shape)
        if shape[-3] < 1:
            raise Refusal("it has no channels", "give it at least one")
        axes = self._axes(shape)
        high, wide = per_axis(self.kernel_size, 2, "kernel")
        windows = prod(axis.size_out for axis in axes)
        channels = shape[-3] * high * wide
        return self._result(
            shape,
            (*shape[:-3], channels, windows),
            axes=axes,
            sees="mixed",
            channels=(
                f"{shape[-3]} channels of {high} x {wide} cells to a column",
                f"{shape[-3]} * {high} * {wide} = {channels}",
            ),
            formula=f"{' * '.join(str(axis.size_out) for axis in axes)} = {windows} columns",
        )

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        require(size, 1, axis.name)
        return self.window(index).result(size, axis)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold(WindowLayer):
    """Columns of windows added back into a map: ``(B, C * kh * kw, windows)`` to ``(B, C, H, W)``.

    Attributes:
        output_size: height and width of the map.
    """

    dims: int = 2
    output_size: Sizes
    TYPE = "Fold"

    def _apply(self, shape: Shape) -> LayerResult:
        if len(shape) not in (2, 3) or shape[-2] < 1 or shape[-1] < 1:
            raise Refusal("it wants B x (C * kh * kw) x windows", "give it what Unfold returns")
        kernel = prod(per_axis(self.kernel_size, 2, "kernel"))
        if kernel < 1 or shape[-2] % kernel:
            raise Refusal(
                f"{shape[-2]} values to a column are no multiple of the kernel's {kernel} cells",
                f"use a multiple of {kernel}, or another kernel",
            )
        high, wide = sizes = per_axis(self.output_size, 2, "output_size")
        rows, columns = (
            self._count(index, size, axis)
            for index, (size, axis) in enumerate(zip(sizes, axis_names(2), strict=True))
        )
        if rows * columns != shape[-1]:
            raise Refusal(
                f"a map of {high} x {wide} has {rows} * {columns} = {rows * columns} windows, "
                f"not {shape[-1]}",
                f"give it {rows * columns} columns, or another output_size",
            )
        channels = shape[-2] // kernel
        return self._result(
            shape,
            (*shape[:-2], channels, *sizes),
            sees="mixed",
            channels=(f"{kernel} cells to a channel", f"{shape[-2]} / {kernel} = {channels}"),
            formula=f"{rows} * {columns} windows = {shape[-1]} columns, as asked",
        )

    def _count(self, index: int, size: int, axis: AxisName) -> int:
        require(size, 1, axis.name)
        window = self.window(index)
        windows = window.count(size)
        if windows < 1:
            raise Refusal(
                f"not one window fits into {axis.name} {size}",
                f"an output of {axis.name} {window.smallest()} or more has one",
            )
        return windows


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelShuffle(Layer):
    """``(*, C * r * r, H, W)`` to ``(*, C, H * r, W * r)``, or back with ``reverse``.

    Attributes:
        factor: r.
        reverse: from places to channels, as PixelUnshuffle.
    """

    factor: int
    reverse: bool = False

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return "PixelUnshuffle" if self.reverse else "PixelShuffle"

    def _apply(self, shape: Shape) -> LayerResult:
        if len(shape) < 3:
            raise Refusal("it wants C x H x W at least", "give it a map with channels")
        if self.factor < 1:
            raise Refusal(f"its factor is {self.factor}", "the factor must be at least 1")
        square = self.factor * self.factor
        channels = self._unshuffled(shape) if self.reverse else self._shuffled(shape, square)
        axes = tuple(map(self._axis, shape[-2:], axis_names(2)))
        told = (
            f"{self.factor} x {self.factor} places to a channel",
            f"{shape[-3]} {'*' if self.reverse else '/'} {square} = {channels} channels",
        )
        output = (*shape[:-3], channels, *(axis.size_out for axis in axes))
        return self._result(shape, output, axes=axes, sees="windows", channels=told)

    def _shuffled(self, shape: Shape, square: int) -> int:
        if shape[-3] % square:
            raise Refusal(
                f"{shape[-3]} channels are no multiple of {self.factor} * {self.factor}",
                f"use {-(-shape[-3] // square) * square} channels, or another factor",
            )
        return shape[-3] // square

    def _unshuffled(self, shape: Shape) -> int:
        for size, axis in zip(shape[-2:], axis_names(2), strict=True):
            if size % self.factor:
                wanted = "x".join(str(-(-size // self.factor) * self.factor) for size in shape[-2:])
                raise Refusal(
                    f"{axis.name} {size} is no multiple of {self.factor}",
                    f"the next map that works is {wanted}",
                )
        return shape[-3] * self.factor * self.factor

    def _axis(self, size: int, axis: AxisName) -> AxisResult:
        factor = self.factor
        out = size // factor if self.reverse else size * factor
        sign = "/" if self.reverse else "*"
        formula = f"{size} {sign} {factor} = {out}"
        reach = Reach((0,), (factor - 1,), factor)
        if not self.reverse:
            reach = Reach((0,) * factor, (0,) * factor, 1)
        verb = "gathered into channels" if self.reverse else "spread out of the channels"
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=out,
            stride=factor if self.reverse else None,
            formula=formula,
            rule=f"in {sign} r",
            steps=((f"{axis.many} {verb}, {factor} at a time", formula),),
            reach=reach,
        )

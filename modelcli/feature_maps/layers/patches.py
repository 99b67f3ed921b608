"""Unfold, which lays sliding windows out as columns, and fold, which adds them back."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from modelcli.feature_maps.layers.layer import Layer, Sizes, SpatialLayer, per_axis, require
from modelcli.feature_maps.record import AxisName, AxisResult, LayerResult, Shape, axis_names
from modelcli.feature_maps.refusal import AxisRefusal
from modelcli.feature_maps.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfold(SpatialLayer):
    """Every window of a C x H x W map as one column: ``(B, C * kh * kw, windows)``.

    Attributes:
        kernel: size of the window, one number or two.
        stride: step of the window.
        padding: cells added on both sides.
        dilation: distance between the window's cells.
    """

    dims: int = 2
    kernel: Sizes
    stride: Sizes = 1
    padding: Sizes = 0
    dilation: Sizes = 1

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return "Unfold"

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on ``([B,] C, H, W)``."""
        self._check_rank(shape)
        if shape[-3] < 1:
            raise self.refuse(shape, "it has no channels", "give it at least one")
        axes = self._axes(shape)
        kernel = per_axis(self.kernel, 2, "kernel")
        windows = prod(axis.size_out for axis in axes)
        channels = shape[-3] * prod(kernel)
        counts = " * ".join(str(axis.size_out) for axis in axes)
        return LayerResult(
            type=self.type,
            input_shape=shape,
            output_shape=(*shape[:-3], channels, windows),
            axes=axes,
            sees="mixed",
            channels=(
                f"{shape[-3]} channels of {kernel[0]} x {kernel[1]} cells to a column",
                f"{shape[-3]} * {kernel[0]} * {kernel[1]} = {channels}",
            ),
            formula=f"{counts} = {windows} columns",
        )

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        require(size, 1, axis.name)
        return patch_window(self, index).result(size, axis)


def patch_window(layer: Unfold | Fold, index: int) -> Window:
    """Return the window of an unfold or fold along one axis.

    Raises:
        AxisRefusal: a number of this axis makes no sense, whatever the input.
    """
    kernel = per_axis(layer.kernel, 2, "kernel")[index]
    stride = per_axis(layer.stride, 2, "stride")[index]
    padding = per_axis(layer.padding, 2, "padding")[index]
    dilation = per_axis(layer.dilation, 2, "dilation")[index]
    require(kernel, 1, "kernel")
    require(stride, 1, "stride")
    require(padding, 0, "padding")
    require(dilation, 1, "dilation")
    return Window(kernel=kernel, stride=stride, before=padding, after=padding, dilation=dilation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold(Layer):
    """Columns of windows added back into a map: ``(B, C * kh * kw, windows)`` to ``(B, C, H, W)``.

    Attributes:
        output_size: height and width of the map.
        kernel: size of the window, one number or two.
        stride: step of the window.
        padding: cells that the windows reach over the map's sides.
        dilation: distance between the window's cells.
    """

    output_size: Sizes
    kernel: Sizes
    stride: Sizes = 1
    padding: Sizes = 0
    dilation: Sizes = 1

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return "Fold"

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on ``([B,] C * kh * kw, windows)``."""
        try:
            return self._apply(shape)
        except AxisRefusal as problem:
            raise self.refuse(shape, problem.reason, problem.advice) from None

    def _apply(self, shape: Shape) -> LayerResult:
        if len(shape) not in (2, 3) or shape[-2] < 1 or shape[-1] < 1:
            raise self.refuse(
                shape, "it wants B x (C * kh * kw) x windows", "give it what Unfold returns"
            )
        kernel = prod(per_axis(self.kernel, 2, "kernel"))
        if kernel < 1 or shape[-2] % kernel:
            raise self.refuse(
                shape,
                f"{shape[-2]} values to a column are no multiple of the kernel's {kernel} cells",
                f"use a multiple of {kernel}, or another kernel",
            )
        sizes = per_axis(self.output_size, 2, "output_size")
        counts = [
            self._count(shape, index, size, axis)
            for index, (size, axis) in enumerate(zip(sizes, axis_names(2), strict=True))
        ]
        if prod(counts) != shape[-1]:
            raise self.refuse(
                shape,
                f"a map of {sizes[0]} x {sizes[1]} has {counts[0]} * {counts[1]} = "
                f"{prod(counts)} windows, not {shape[-1]}",
                f"give it {prod(counts)} columns, or another output_size",
            )
        channels = shape[-2] // kernel
        return LayerResult(
            type=self.type,
            input_shape=shape,
            output_shape=(*shape[:-2], channels, *sizes),
            sees="mixed",
            channels=(f"{kernel} cells to a channel", f"{shape[-2]} / {kernel} = {channels}"),
            formula=f"{counts[0]} * {counts[1]} windows = {shape[-1]} columns, as asked",
        )

    def _count(self, shape: Shape, index: int, size: int, axis: AxisName) -> int:
        require(size, 1, axis.name)
        window = patch_window(self, index)
        windows = window.count(size)
        if windows < 1:
            raise self.refuse(
                shape,
                f"not one window fits into {axis.name} {size}",
                f"an output of {axis.name} {window.smallest()} or more has one",
            )
        return windows

"""Unfold, which lays sliding windows out as columns, and fold, which adds them back."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from modelcli.feature_maps.layers.layer import Sizes, WindowLayer, per_axis, require
from modelcli.feature_maps.record import AxisName, AxisResult, LayerResult, Shape, axis_names
from modelcli.feature_maps.refusal import AxisRefusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfold(WindowLayer):
    """Every window of a C x H x W map as one column: ``(B, C * kh * kw, windows)``."""

    dims: int = 2
    TYPE = "Unfold"

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on ``([B,] C, H, W)``."""
        self._check_rank(shape)
        if shape[-3] < 1:
            raise self.refuse(shape, "it has no channels", "give it at least one")
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

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on ``([B,] C * kh * kw, windows)``."""
        try:
            return self._apply(shape)
        except AxisRefusal as refusal:
            raise self.refuse(shape, refusal.reason, refusal.advice) from None

    def _apply(self, shape: Shape) -> LayerResult:
        if len(shape) not in (2, 3) or shape[-2] < 1 or shape[-1] < 1:
            raise self.refuse(
                shape, "it wants B x (C * kh * kw) x windows", "give it what Unfold returns"
            )
        kernel = prod(per_axis(self.kernel_size, 2, "kernel"))
        if kernel < 1 or shape[-2] % kernel:
            raise self.refuse(
                shape,
                f"{shape[-2]} values to a column are no multiple of the kernel's {kernel} cells",
                f"use a multiple of {kernel}, or another kernel",
            )
        high, wide = sizes = per_axis(self.output_size, 2, "output_size")
        rows, columns = (
            self._count(shape, index, size, axis)
            for index, (size, axis) in enumerate(zip(sizes, axis_names(2), strict=True))
        )
        if rows * columns != shape[-1]:
            raise self.refuse(
                shape,
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

    def _count(self, shape: Shape, index: int, size: int, axis: AxisName) -> int:
        require(size, 1, axis.name)
        window = self.window(index)
        windows = window.count(size)
        if windows < 1:
            raise self.refuse(
                shape,
                f"not one window fits into {axis.name} {size}",
                f"an output of {axis.name} {window.smallest()} or more has one",
            )
        return windows

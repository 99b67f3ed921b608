"""Pixel shuffle, which trades channels for places, and its reverse."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.reach import Reach
from modelcli.feature_maps.record import AxisName, AxisResult, LayerResult, Shape, axis_names


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

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on ``(*, C, H, W)``."""
        if len(shape) < 3:
            raise self.refuse(shape, "it wants C x H x W at least", "give it a map with channels")
        if self.factor < 1:
            raise self.refuse(
                shape, f"its factor is {self.factor}", "the factor must be at least 1"
            )
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
            raise self.refuse(
                shape,
                f"{shape[-3]} channels are no multiple of {self.factor} * {self.factor}",
                f"use {-(-shape[-3] // square) * square} channels, or another factor",
            )
        return shape[-3] // square

    def _unshuffled(self, shape: Shape) -> int:
        for size, axis in zip(shape[-2:], axis_names(2), strict=True):
            if size % self.factor:
                wanted = "x".join(str(-(-size // self.factor) * self.factor) for size in shape[-2:])
                raise self.refuse(
                    shape,
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

"""Max, average and Lp pooling, with ``ceil_mode`` and its rule for the last window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelcli.feature_maps.layers.layer import Sizes, SpatialLayer, per_axis, require
from modelcli.feature_maps.record import AxisName, AxisResult
from modelcli.feature_maps.refusal import AxisRefusal
from modelcli.feature_maps.window import Window

PoolKind = Literal["max", "avg", "lp"]
_TYPES = {"max": "MaxPool", "avg": "AvgPool", "lp": "LPPool"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling(SpatialLayer):
    """A pooling: ``out = floor((in + 2p - d(k - 1) - 1) / s) + 1``, or ``ceil``.

    Attributes:
        kind: ``max``, ``avg`` or ``lp``.
        kernel: size of the window, one number or one per axis.
        stride: step of the window; None is the kernel's size.
        padding: cells added on both sides, at most half of the kernel (``max`` and ``avg``).
        dilation: distance between the window's cells (``max``).
        ceil: round up, so that a last window may hang over the end.
    """

    kind: PoolKind
    kernel: Sizes
    stride: Sizes | None = None
    padding: Sizes = 0
    dilation: Sizes = 1
    ceil: bool = False

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return f"{_TYPES[self.kind]}{self.dims}d"

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        require(size, 1, axis.name)
        window = self.window(index)
        if self.dims == 3 and self.kind != "max" and size < window.kernel:
            # a rule of avg_pool3d alone: neither padding nor ceil_mode helps a small input
            raise AxisRefusal(
                f"in three dimensions {axis.name} {size} must hold the whole kernel of "
                f"{window.kernel}, padding aside",
                smallest=window.kernel,
            )
        return window.result(size, axis)

    def window(self, index: int) -> Window:
        """Return the window along one axis.

        Raises:
            AxisRefusal: a number of this axis makes no sense, whatever the input.
        """
        kernel = per_axis(self.kernel, self.dims, "kernel")[index]
        stride = kernel
        if self.stride is not None:
            stride = per_axis(self.stride, self.dims, "stride")[index]
        padding = per_axis(self.padding, self.dims, "padding")[index]
        dilation = per_axis(self.dilation, self.dims, "dilation")[index]
        require(kernel, 1, "kernel")
        require(stride, 1, "stride")
        require(padding, 0, "padding")
        require(dilation, 1, "dilation")
        _check_padding(kernel, padding)
        return Window(
            kernel=kernel,
            stride=stride,
            before=padding,
            after=padding,
            dilation=dilation,
            ceil=self.ceil,
        )


def _check_padding(kernel: int, padding: int) -> None:
    most = kernel // 2  # of the kernel itself, also where a dilation makes it span more
    if padding <= most:
        return
    raise AxisRefusal(
        f"padding {padding} is more than half of the kernel {kernel}, so a window could hold "
        "nothing but padding",
        advice=f"no input size works with it: set the padding to {most} or less, or pad beforehand",
    )

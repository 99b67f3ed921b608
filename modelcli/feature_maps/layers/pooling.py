"""Max, average and Lp pooling, with ``ceil_mode`` and its rule for the last window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from modelcli.feature_maps.layers.layer import Sizes, WindowLayer, require
from modelcli.feature_maps.record import AxisName, AxisResult
from modelcli.feature_maps.refusal import AxisRefusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling(WindowLayer):
    """A pooling: ``out = floor((in + 2p - d(k - 1) - 1) / s) + 1``, or ``ceil``.

    Attributes:
        padding: cells added on both sides, at most half of the kernel (``Max`` and ``Avg``).
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
            raise AxisRefusal(
                f"in three dimensions {axis.name} {size} must hold the whole kernel of "
                f"{window.kernel}, padding aside",
                smallest=window.kernel,
            )
        return replace(window, ceil=self.ceil_mode).result(size, axis)

    def _pads(self, index: int, kernel: int, dilation: int) -> tuple[int, int]:
        padding = self._number("padding", index, 0)
        most = kernel // 2  # of the kernel itself, also where a dilation makes it span more
        if padding > most:
            raise AxisRefusal(
                f"padding {padding} is more than half of the kernel {kernel}, so a window could "
                "hold nothing but padding",
                advice=f"no input size works with it: set the padding to {most} or less, or pad "
                "beforehand",
            )
        return padding, padding

"""Convolution in 1, 2 and 3 dimensions, with every kind of padding that torch has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelcli.feature_maps.layers.layer import Sizes, SpatialLayer, per_axis, require
from modelcli.feature_maps.record import AxisName, AxisResult, Shape
from modelcli.feature_maps.refusal import AxisRefusal, count_of
from modelcli.feature_maps.window import Window

Padding = Sizes | Literal["same", "valid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(SpatialLayer):
    """A convolution: ``out = floor((in + 2p - d(k - 1) - 1) / s) + 1``.

    Attributes:
        kernel: size of the kernel, one number or one per axis.
        out_channels: number of kernels; None keeps the channel count.
        in_channels: what the weights expect; None takes what comes.
        stride: step of the window.
        padding: cells added on both sides, or ``valid`` (none) or ``same`` (as many as keep the
            size at stride 1; where that is odd, the additional one goes behind).
        dilation: distance between the kernel's cells.
        groups: how many separate convolutions the channels are divided among.
    """

    kernel: Sizes
    out_channels: int | None = None
    in_channels: int | None = None
    stride: Sizes = 1
    padding: Padding = 0
    dilation: Sizes = 1
    groups: int = 1

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return f"Conv{self.dims}d"

    def _channels(self, shape: Shape) -> tuple[int, tuple[str, str] | None]:
        channels = shape[-self.dims - 1]
        out = channels if self.out_channels is None else self.out_channels
        check_groups(self, shape, self.in_channels or channels, out, self.groups)
        check_in_channels(self, shape, channels, self.in_channels)
        return out, (f"{count_of(out, 'kernel')}, each gives one map", count_of(out, "channel"))

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        return self.window(index).result(size, axis)

    def window(self, index: int) -> Window:
        """Return the window along one axis.

        Raises:
            AxisRefusal: a number of this axis makes no sense, whatever the input.
        """
        kernel = per_axis(self.kernel, self.dims, "kernel")[index]
        stride = per_axis(self.stride, self.dims, "stride")[index]
        dilation = per_axis(self.dilation, self.dims, "dilation")[index]
        require(kernel, 1, "kernel")
        require(stride, 1, "stride")
        require(dilation, 1, "dilation")
        before, after = self._pads(index, kernel, dilation)
        require(before, 0, "padding")
        return Window(kernel=kernel, stride=stride, before=before, after=after, dilation=dilation)

    def _pads(self, index: int, kernel: int, dilation: int) -> tuple[int, int]:
        if self.padding == "valid":
            return 0, 0
        if self.padding == "same":
            if any(stride != 1 for stride in per_axis(self.stride, self.dims, "stride")):
                raise AxisRefusal(
                    "padding 'same' with a stride is not defined",
                    advice=f"no input size works with it: set stride to 1, or padding to "
                    f"{dilation * (kernel - 1) // 2}",
                )
            total = dilation * (kernel - 1)
            return total // 2, total - total // 2
        if isinstance(self.padding, str):
            raise AxisRefusal(
                f"padding {self.padding!r} is unknown", advice="use a number, 'same' or 'valid'"
            )
        both = per_axis(self.padding, self.dims, "padding")[index]
        return both, both


def check_groups(
    layer: SpatialLayer, shape: Shape, in_channels: int, out_channels: int, groups: int
) -> None:
    """Refuse channel counts that the groups do not divide.

    Raises:
        ShapeError: groups, or a count of channels, below 1; channels not divisible by groups.
    """
    if groups < 1 or out_channels < 1 or in_channels < 1:
        raise layer.refuse(
            shape,
            f"{in_channels} channels in, {out_channels} out and {groups} groups",
            "each of the three must be at least 1",
        )
    for count, side in ((in_channels, "in"), (out_channels, "out")):
        if count % groups:
            raise layer.refuse(
                shape,
                f"{count} channels {side} cannot be divided into {groups} groups",
                f"use a multiple of {groups} channels, such as {-(-count // groups) * groups}, "
                "or other groups",
            )


def check_in_channels(
    layer: SpatialLayer, shape: Shape, channels: int, expected: int | None
) -> None:
    """Refuse an input whose channel count is not what the weights expect.

    Raises:
        ShapeError: it is not.
    """
    if expected is None or expected == channels:
        return
    position = len(shape) - layer.dims - 1
    wanted = (*shape[:position], expected, *shape[position + 1 :])
    raise layer.refuse(
        shape,
        f"its weights expect {expected} channels, not {channels}",
        f"an input of {'x'.join(map(str, wanted))} would fit",
    )

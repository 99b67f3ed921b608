"""Convolution in 1, 2 and 3 dimensions, with every kind of padding that torch has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modelcli.feature_maps.layers.layer import WindowLayer, per_axis
from modelcli.feature_maps.record import Shape
from modelcli.feature_maps.refusal import Refusal, count_of, show_dims


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedLayer(WindowLayer):
    """A layer whose window holds weights.

    Attributes:
        out_channels: channels that leave; None keeps the count.
        in_channels: what the weights expect; None and 0 (a lazy layer's) take what comes.
        groups: how many separate convolutions the channels are divided among.
    """

    out_channels: int | None = None
    in_channels: int | None = None
    groups: int = 1
    TOLD: ClassVar[tuple[str, str]]  # what makes a channel, and how

    def _channels(self, shape: Shape) -> tuple[int, tuple[str, str]]:
        channels = shape[-self.dims - 1]
        out = channels if self.out_channels is None else self.out_channels
        self._check_groups(self.in_channels or channels, out)
        if self.in_channels and self.in_channels != channels:
            position = len(shape) - self.dims - 1
            wanted = (*shape[:position], self.in_channels, *shape[position + 1 :])
            raise Refusal(
                f"its weights expect {self.in_channels} channels, not {channels}",
                f"an input of {show_dims(wanted)} would fit",
            )
        noun, how = self.TOLD
        return out, (f"{count_of(out, noun)}{how}", count_of(out, "channel"))

    def _weights(self, shape: Shape, channels: int) -> tuple[Shape, int]:
        inner = shape[-self.dims - 1]
        return (
            (inner // self.groups, channels, *per_axis(self.kernel_size, self.dims, "kernel")),
            channels,
        )

    def _check_groups(self, in_channels: int, out_channels: int) -> None:
        groups = self.groups
        if groups < 1 or out_channels < 1 or in_channels < 1:
            raise Refusal(
                f"{in_channels} channels in, {out_channels} out and {groups} groups",
                "each of the three must be at least 1",
            )
        for count, side in ((in_channels, "in"), (out_channels, "out")):
            if count % groups:
                raise Refusal(
                    f"{count} channels {side} cannot be divided into {groups} groups",
                    f"use a multiple of {groups} channels, such as {-(-count // groups) * groups}, "
                    "or other groups",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(WeightedLayer):
    """A convolution: ``out = floor((in + 2p - d(k - 1) - 1) / s) + 1``."""

    TYPE = "Conv{0.dims}d"
    TOLD = ("kernel", ", each gives one map")

    def _pads(self, index: int, kernel: int, dilation: int) -> tuple[int, int]:
        if self.padding == "valid":
            return 0, 0
        if self.padding == "same":
            total = dilation * (kernel - 1)
            if any(stride != 1 for stride in per_axis(self.stride or 1, self.dims, "stride")):
                raise Refusal(
                    "padding 'same' with a stride is not defined",
                    f"no input size works with it: set stride to 1, or padding to {total // 2}",
                )
            return total // 2, total - total // 2
        if isinstance(self.padding, str):
            raise Refusal(f"padding {self.padding!r} is unknown", "use a number, 'same' or 'valid'")
        return (self._number("padding", index, 0),) * 2

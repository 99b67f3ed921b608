"""Transposed convolution, its output padding and the ``output_size`` that a call may request."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.feature_maps.layers.convolution import check_groups, check_in_channels
from modelcli.feature_maps.layers.layer import Sizes, SpatialLayer, per_axis, require
from modelcli.feature_maps.reach import Reach
from modelcli.feature_maps.record import AxisName, AxisResult, Shape
from modelcli.feature_maps.refusal import AxisRefusal, count_of

RULE = "(in - 1)s - 2p + d(k - 1) + op + 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposedConvolution(SpatialLayer):
    """A transposed convolution: ``out = (in - 1)s - 2p + d(k - 1) + output_padding + 1``.

    Attributes:
        kernel: size of the kernel, one number or one per axis.
        out_channels: number of maps that leave; None keeps the channel count.
        in_channels: what the weights expect; None takes what comes.
        stride: distance between the copies of the kernel in the output.
        padding: cells trimmed off both sides of the output.
        output_padding: cells added behind the output, fewer than stride or dilation.
        dilation: distance between the kernel's cells.
        groups: how many separate convolutions the channels are divided among.
        output_size: the sizes that the call requested; decides ``output_padding``.
    """

    kernel: Sizes
    out_channels: int | None = None
    in_channels: int | None = None
    stride: Sizes = 1
    padding: Sizes = 0
    output_padding: Sizes = 0
    dilation: Sizes = 1
    groups: int = 1
    output_size: Sizes | None = None

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return f"ConvTranspose{self.dims}d"

    def _channels(self, shape: Shape) -> tuple[int, tuple[str, str] | None]:
        channels = shape[-self.dims - 1]
        out = channels if self.out_channels is None else self.out_channels
        check_groups(self, shape, self.in_channels or channels, out, self.groups)
        check_in_channels(self, shape, channels, self.in_channels)
        return out, (f"{count_of(out, 'map')} summed from the copies", count_of(out, "channel"))

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        numbers = self._numbers(index)
        kernel, stride, padding, dilation, output_padding = numbers
        span = dilation * (kernel - 1) + 1
        least = (size - 1) * stride - 2 * padding + span
        if self.output_size is not None:
            wanted = per_axis(self.output_size, self.dims, "output_size")[index]
            output_padding = _requested(wanted, least, stride, axis)
        out = least + output_padding
        if out < 1:
            raise _nothing_left(size, out, stride, 2 * padding - span - output_padding, axis)
        formula = (
            f"({size} - 1)*{stride} - 2*{padding} + {dilation}*({kernel} - 1) "
            f"+ {output_padding} + 1 = {out}"
        )
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=out,
            kernel=kernel,
            stride=stride,
            padding=(padding, padding),
            dilation=dilation,
            formula=formula,
            rule=RULE,
            steps=_steps(size, numbers[:4], output_padding, axis),
            reach=_reach(kernel, stride, padding, dilation),
            unseen=_unseen(size, out, stride, padding, kernel, dilation),
        )

    def _numbers(self, index: int) -> tuple[int, int, int, int, int]:
        kernel = per_axis(self.kernel, self.dims, "kernel")[index]
        stride = per_axis(self.stride, self.dims, "stride")[index]
        padding = per_axis(self.padding, self.dims, "padding")[index]
        dilation = per_axis(self.dilation, self.dims, "dilation")[index]
        output_padding = per_axis(self.output_padding, self.dims, "output_padding")[index]
        require(kernel, 1, "kernel")
        require(stride, 1, "stride")
        require(dilation, 1, "dilation")
        require(padding, 0, "padding")
        require(output_padding, 0, "output_padding")
        if self.output_size is None and output_padding >= max(stride, dilation):
            raise AxisRefusal(
                f"output_padding {output_padding} must be smaller than the stride {stride} or the "
                f"dilation {dilation}",
                advice=f"no input size works with it: at most {max(stride, dilation) - 1} can be "
                "added",
            )
        return kernel, stride, padding, dilation, output_padding


def _requested(wanted: int, least: int, stride: int, axis: AxisName) -> int:
    if least <= wanted < least + stride:
        return wanted - least
    raise AxisRefusal(
        f"the requested {axis.name} {wanted} cannot come out of it",
        advice=f"its {axis.name} can be {least} to {least + stride - 1} here",
    )


def _nothing_left(size: int, out: int, stride: int, missing: int, axis: AxisName) -> AxisRefusal:
    return AxisRefusal(
        f"{axis.name} {size} gives {out}, and nothing is left",
        smallest=2 + missing // stride if missing >= 0 else 1,
    )


def _steps(
    size: int, numbers: tuple[int, ...], output_padding: int, axis: AxisName
) -> tuple[tuple[str, str], ...]:
    kernel, stride, padding, dilation = numbers
    span = dilation * (kernel - 1) + 1
    start = (size - 1) * stride
    steps = [
        (
            f"each of the {axis.count(size)} puts down a copy of the kernel, {stride} apart; "
            "the last starts at",
            f"({size} - 1)*{stride} = {start}",
        )
    ]
    if dilation > 1:
        steps.append(
            (
                f"{axis.count(kernel)} of kernel, {dilation} apart, span",
                f"{dilation}*({kernel} - 1) + 1 = {span}",
            )
        )
    total = start + span
    steps.append((f"and spans {span}, so that all copies span", f"{start} + {span} = {total}"))
    if padding:
        words = f"padding trims {padding} {axis.before} and {padding} {axis.after}"
        steps.append((words, f"{total} - 2*{padding} = {total - 2 * padding}"))
        total -= 2 * padding
    if output_padding:
        words = f"output padding adds {output_padding} {axis.after}"
        steps.append((words, f"{total} + {output_padding} = {total + output_padding}"))
        total += output_padding
    steps.append(("which leaves", f"{axis.count(total)}"))
    return tuple(steps)


def _reach(kernel: int, stride: int, padding: int, dilation: int) -> Reach:
    """Return the hull of the input cells i with i*s + d*t = o + p for a kernel cell t.

    With stride and dilation both above 1 the sources of neighbouring cells interleave; the bounds
    are those of the run of cells, so that a single cell may see less than they say.
    """
    # two periods each way hold a cell that sees something, wherever any cell does
    cells = range(-stride, 2 * stride)
    lows: list[int] = []
    highs: list[int] = []
    for cell in range(stride):
        later = [_sources(o, kernel, stride, padding, dilation) for o in cells if o >= cell]
        earlier = [_sources(o, kernel, stride, padding, dilation) for o in cells if o <= cell]
        lows.append(min(found[0] for found in later if found))
        highs.append(max(found[-1] for found in earlier if found))
    return Reach(tuple(lows), tuple(highs), 1)


def _sources(cell: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    places = (cell + padding - dilation * tap for tap in range(kernel - 1, -1, -1))
    return [place // stride for place in places if place % stride == 0]


def _unseen(
    size: int, out: int, stride: int, padding: int, kernel: int, dilation: int
) -> tuple[tuple[int, int], ...]:
    """Return the input cells whose whole copy of the kernel is trimmed off."""
    lost: list[tuple[int, int]] = []
    for cell in range(size):
        first = cell * stride - padding
        if any(0 <= first + dilation * tap < out for tap in range(kernel)):
            continue
        if lost and lost[-1][1] == cell - 1:
            lost[-1] = (lost[-1][0], cell)
        else:
            lost.append((cell, cell))
    return tuple(lost)

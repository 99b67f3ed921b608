"""Transposed convolution, its output padding and the ``output_size`` that a call may request."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.feature_maps.layers.convolution import WeightedLayer
from modelcli.feature_maps.layers.layer import Sizes, WindowLayer
from modelcli.feature_maps.reach import Reach
from modelcli.feature_maps.record import AxisName, AxisResult, Ranges, to_ranges
from modelcli.feature_maps.refusal import Refusal
from modelcli.feature_maps.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposedConvolution(WeightedLayer):
    """A transposed convolution: ``out = (in - 1)s - 2p + d(k - 1) + output_padding + 1``.

    Attributes:
        stride: distance between the copies of the kernel in the output.
        padding: cells trimmed off both sides of the output.
        output_padding: cells added behind the output, fewer than stride or dilation.
        output_size: the sizes that the call requested; decides ``output_padding``.
    """

    output_padding: Sizes = 0
    output_size: Sizes | None = None
    TYPE = "ConvTranspose{0.dims}d"
    TOLD = ("map", " summed from the copies")

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        window = self.window(index)
        kernel, stride, dilation = window.kernel, window.stride, window.dilation
        padding = window.before
        least = (size - 1) * stride - 2 * padding + window.span
        added = self._added(index, window, least, axis)
        out = least + added
        if out < 1:
            missing = 2 * padding - window.span - added
            raise Refusal(
                f"{axis.name} {size} gives {out}, and nothing is left",
                smallest=2 + missing // stride if missing >= 0 else 1,
            )
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=out,
            kernel=kernel,
            stride=stride,
            padding=(padding, padding),
            dilation=dilation,
            formula=f"({size} - 1)*{stride} - 2*{padding} + {dilation}*({kernel} - 1) "
            f"+ {added} + 1 = {out}",
            rule="(in - 1)s - 2p + d(k - 1) + op + 1",
            steps=_steps(size, window, added, axis),
            reach=_reach(window),
            unseen=_unseen(size, out, window),
        )

    def _added(self, index: int, window: Window, least: int, axis: AxisName) -> int:
        """Return the output padding of one axis, as given or as the requested size needs."""
        if self.output_size is not None:
            added = self._number("output_size", index, 0) - least
            if 0 <= added < window.stride:
                return added
            raise Refusal(
                f"the requested {axis.name} {least + added} cannot come out of it",
                f"its {axis.name} can be {least} to {least + window.stride - 1} here",
            )
        added, most = self._number("output_padding", index, 0), max(window.stride, window.dilation)
        if added >= most:
            raise Refusal(
                f"output_padding {added} must be smaller than the stride {window.stride} or the "
                f"dilation {window.dilation}",
                f"no input size works with it: at most {most - 1} can be added",
            )
        return added


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxUnpooling(WindowLayer):
    """The way back from a max pooling: ``out = (in - 1)s - 2p + k``, or the size requested.

    Source: ``torch.nn.MaxUnpool2d``; a requested size is less than a stride away from the formula.
    """

    stride: Sizes | None = None
    output_size: Sizes | None = None
    TYPE = "MaxUnpool{0.dims}d"

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        window = self.window(index)
        out = usual = (size - 1) * window.stride - 2 * window.before + window.kernel
        formula = f"({size} - 1)*{window.stride} - 2*{window.before} + {window.kernel} = {out}"
        if self.output_size is not None:
            out = self._number("output_size", index, 0)
            formula = f"as asked = {out}"
        if abs(out - usual) >= window.stride or out < 1:
            raise Refusal(
                f"the requested {axis.name} {out} cannot come out of it",
                f"its {axis.name} can be {max(usual - window.stride + 1, 1)} to "
                f"{usual + window.stride - 1} here",
            )
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=out,
            kernel=window.kernel,
            stride=window.stride,
            padding=(window.before, window.before),
            formula=formula,
            rule="as asked" if self.output_size is not None else "(in - 1)s - 2p + k",
            steps=((f"each of the {axis.count(size)} is put back into its window", formula),),
            reach=_reach(window),
        )


def _steps(size: int, window: Window, added: int, axis: AxisName) -> tuple[tuple[str, str], ...]:
    span, padding = window.span, window.before
    start = (size - 1) * window.stride
    total = start + span
    steps = [
        (
            f"each of the {axis.count(size)} puts down a copy of the kernel, {window.stride} apart;"
            " the last starts at",
            f"({size} - 1)*{window.stride} = {start}",
        ),
        *window.span_steps(axis),
        (f"and spans {span}, so that all copies span", f"{start} + {span} = {total}"),
    ]
    if padding:
        words = f"padding trims {padding} {axis.before} and {padding} {axis.after}"
        steps.append((words, f"{total} - 2*{padding} = {total - 2 * padding}"))
        total -= 2 * padding
    if added:
        words = f"output padding adds {added} {axis.after}"
        steps.append((words, f"{total} + {added} = {total + added}"))
        total += added
    return (*steps, ("which leaves", axis.count(total)))


def _reach(window: Window) -> Reach:
    """Return the hull of the input cells i with i*s + d*t = o + p for a kernel cell t.

    With stride and dilation both above 1 the sources of neighbouring cells interleave; the bounds
    are those of the run of cells, so that a single cell may see less than they say.
    """
    # two periods each way hold a cell that sees something, wherever any cell does
    around = range(-window.stride, 2 * window.stride)
    found = {cell: seen for cell in around if (seen := _sources(cell, window))}
    cells = range(window.stride)
    lows = tuple(min(seen[0] for other, seen in found.items() if other >= cell) for cell in cells)
    highs = tuple(max(seen[-1] for other, seen in found.items() if other <= cell) for cell in cells)
    return Reach(lows, highs, 1)


def _sources(cell: int, window: Window) -> list[int]:
    taps = range(window.kernel - 1, -1, -1)
    places = (cell + window.before - window.dilation * tap for tap in taps)
    return [place // window.stride for place in places if place % window.stride == 0]


def _unseen(size: int, out: int, window: Window) -> Ranges:
    """Return the input cells whose whole copy of the kernel is trimmed off."""
    copies = (cell * window.stride - window.before for cell in range(size))
    taps = range(0, window.span, window.dilation)
    return to_ranges(bytearray(any(0 <= first + tap < out for tap in taps) for first in copies))

"""A window that slides over an axis: what convolution, pooling and unfold have in common."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.feature_maps.reach import window
from modelcli.feature_maps.record import AxisName, AxisResult, Ranges, to_ranges
from modelcli.feature_maps.refusal import AxisRefusal, count_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One axis of a sliding window.

    Attributes:
        kernel: cells of the kernel.
        stride: cells by which it moves.
        before: cells of padding before the first cell.
        after: cells of padding behind the last one.
        dilation: distance between neighbouring cells of the kernel.
        ceil: also take a last window that hangs over the end, if it starts inside.
    """

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    ceil: bool = False

    @property
    def span(self) -> int:
        """Cells from the kernel's first to its last, the holes between included."""
        return self.dilation * (self.kernel - 1) + 1

    def count(self, size: int) -> int:
        """Return how many windows fit; less than 1 where none does.

        Source: the documentation of ``torch.nn.Conv2d`` and ``torch.nn.MaxPool2d``; with ``ceil``
        a last window that would start in the padding behind is dropped.
        """
        room = size + self.before + self.after - self.span
        if not self.ceil:
            return room // self.stride + 1
        windows = -(-room // self.stride) + 1
        if (windows - 1) * self.stride >= size + self.before:
            windows -= 1
        return windows

    def smallest(self) -> int:
        """Return the smallest input that holds one window."""
        slack = self.stride - 1 if self.ceil else 0
        return max(1, self.span - self.before - self.after - slack)

    def unseen(self, size: int, windows: int) -> Ranges:
        """Return the input cells that no window covers."""
        last = (windows - 1) * self.stride - self.before  # where the last window starts
        if self.dilation == 1 and self.stride <= self.kernel:
            end = last + self.kernel
            return ((max(end, 0), size - 1),) if end < size else ()
        covered = bytearray(size)
        for tap in range(self.kernel):
            first = tap * self.dilation - self.before
            if first < 0:  # the first window whose tap lies inside
                first += -(first // self.stride) * self.stride
            stop = min(last + tap * self.dilation + 1, size)
            touched = len(range(first, stop, self.stride))
            covered[first : max(stop, first) : self.stride] = b"\1" * touched
        return to_ranges(covered)

    def result(self, size: int, axis: AxisName) -> AxisResult:
        """Return the axis with its formula, its working and what it sees.

        Raises:
            AxisRefusal: not one window fits.
        """
        windows = self.count(size)
        if windows < 1:
            raise AxisRefusal(self._too_small(size, axis), smallest=self.smallest())
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=windows,
            kernel=self.kernel,
            stride=self.stride,
            padding=(self.before, self.after),
            dilation=self.dilation,
            formula=self._formula(size, windows),
            rule=self._rule(),
            steps=self._steps(size, windows, axis),
            reach=window(kernel_span=self.span, stride=self.stride, before=self.before),
            unseen=self.unseen(size, windows),
        )

    def _too_small(self, size: int, axis: AxisName) -> str:
        spans = f"a kernel of {self.kernel}"
        if self.dilation > 1:
            spans += f" with dilation {self.dilation} spans {self.span} and"
        padded = size + self.before + self.after
        inside = f"{axis.name} {size}"
        if self.before or self.after:
            inside += f", {padded} with its padding"
        return f"{spans} does not fit into {inside}"

    def _rule(self) -> str:
        pads = "2p" if self.before == self.after else "p + q"
        span = "k" if self.dilation == 1 else "d(k - 1) - 1"
        inner = f"(in + {pads} - {span}) / s"
        return f"{'ceil' if self.ceil else 'floor'}({inner}) + 1"

    def _formula(self, size: int, windows: int) -> str:
        pads = f"2*{self.before}" if self.before == self.after else f"{self.before} + {self.after}"
        span = (
            f"{self.kernel}" if self.dilation == 1 else f"{self.dilation}*({self.kernel} - 1) - 1"
        )
        rounding = "ceil" if self.ceil else "floor"
        dropped = " - 1" if self._plain_count(size) != windows else ""
        return f"{rounding}(({size} + {pads} - {span}) / {self.stride}) + 1{dropped} = {windows}"

    def _plain_count(self, size: int) -> int:
        room = size + self.before + self.after - self.span
        return (-(-room // self.stride) if self.ceil else room // self.stride) + 1

    def _steps(self, size: int, windows: int, axis: AxisName) -> tuple[tuple[str, str], ...]:
        padded = size + self.before + self.after
        room = padded - self.span
        steps: list[tuple[str, str]] = []
        if self.before or self.after:
            steps.append(_padding_step(size, self.before, self.after, axis))
        if self.dilation > 1:
            steps.append(
                (
                    f"{axis.count(self.kernel)} of kernel, {self.dilation} apart, span",
                    f"{self.dilation}*({self.kernel} - 1) + 1 = {self.span}",
                )
            )
        steps.append(
            (f"the kernel spans {self.span}, which leaves room", f"{padded} - {self.span} = {room}")
        )
        steps.append(self._moves(room, axis))
        plain = self._plain_count(size)
        steps.append(("and one window where it starts", f"{plain - 1} + 1 = {axis.count(plain)}"))
        if plain != windows:
            begins = (plain - 1) * self.stride
            steps.append(
                (
                    f"the last would start at {begins}, past the input and its padding in front"
                    f" ({size + self.before}): dropped",
                    f"{plain} - 1 = {axis.count(windows)}",
                )
            )
        return tuple(steps)

    def _moves(self, room: int, axis: AxisName) -> tuple[str, str]:
        moves = -(-room // self.stride) if self.ceil else room // self.stride
        if self.stride == 1:
            return f"it moves {axis.count(1)} at a time", f"{room} / 1 = {count_of(moves, 'move')}"
        over = room % self.stride
        words = f"it moves {axis.count(self.stride)} at a time"
        if over and not self.ceil:
            words += f" ({axis.count(over)} left over)"
        if over and self.ceil:
            words += ", the last one over the edge"
        rounding = "ceil" if self.ceil else "floor"
        return words, f"{rounding}({room} / {self.stride}) = {count_of(moves, 'move')}"


def _padding_step(size: int, before: int, after: int, axis: AxisName) -> tuple[str, str]:
    if before == after:
        words = f"padding adds {before} {axis.before} and {after} {axis.after}"
        return words, f"{size} + 2*{before} = {size + before + after}"
    words = f"padding adds {before} {axis.before}, {after} {axis.after}"
    return words, f"{size} + {before} + {after} = {size + before + after}"

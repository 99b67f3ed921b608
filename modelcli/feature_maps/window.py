"""A window that slides over an axis: what convolution, pooling and unfold have in common."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.feature_maps.reach import window
from modelcli.feature_maps.record import AxisName, AxisResult, Ranges, to_ranges
from modelcli.feature_maps.refusal import Refusal, count_of

Step = tuple[str, str]  # words and arithmetic


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One axis of a sliding window, all in cells: padding ``before`` and ``after`` the input.

    With ``ceil`` a last window is also taken that hangs over the end, if it starts inside.
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
        moves = self._moves(size)
        return moves + 1 - (self.ceil and moves * self.stride >= size + self.before)

    def _moves(self, size: int) -> int:
        room = size + self.before + self.after - self.span
        return -(-room // self.stride) if self.ceil else room // self.stride

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
            Refusal: not one window fits.
        """
        windows = self.count(size)
        if windows < 1:
            raise Refusal(self._too_small(size, axis), smallest=self.smallest())
        rule, formula = self._formulas(size, windows)
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=windows,
            kernel=self.kernel,
            stride=self.stride,
            padding=(self.before, self.after),
            dilation=self.dilation,
            formula=formula,
            rule=rule,
            steps=self._steps(size, windows, axis),
            reach=window(kernel_span=self.span, stride=self.stride, before=self.before),
            unseen=self.unseen(size, windows),
        )

    def _too_small(self, size: int, axis: AxisName) -> str:
        spans = f"a kernel of {self.kernel}"
        if self.dilation > 1:
            spans += f" with dilation {self.dilation} spans {self.span} and"
        padded = size + self.before + self.after
        inside = f"{axis.name} {size}" + (f", {padded} with its padding" if padded > size else "")
        return f"{spans} does not fit into {inside}"

    def _formulas(self, size: int, windows: int) -> tuple[str, str]:
        """Return the formula with letters, and with its numbers and result."""
        even = self.before == self.after
        pads = ("2p", f"2*{self.before}") if even else ("p + q", f"{self.before} + {self.after}")
        spans = ("d(k - 1) - 1", f"{self.dilation}*({self.kernel} - 1) - 1")
        if self.dilation == 1:
            spans = ("k", f"{self.kernel}")
        rounded = "ceil" if self.ceil else "floor"
        dropped = " - 1" if self._moves(size) + 1 != windows else ""
        return (
            f"{rounded}((in + {pads[0]} - {spans[0]}) / s) + 1",
            f"{rounded}(({size} + {pads[1]} - {spans[1]}) / {self.stride}) + 1{dropped}"
            f" = {windows}",
        )

    def _steps(self, size: int, windows: int, axis: AxisName) -> tuple[Step, ...]:
        padded = size + self.before + self.after
        room = padded - self.span
        steps: list[Step] = []
        if self.before or self.after:
            even = self.before == self.after
            words = f"padding adds {self.before} {axis.before}{' and' if even else ','} "
            added = f"2*{self.before}" if even else f"{self.before} + {self.after}"
            steps.append((f"{words}{self.after} {axis.after}", f"{size} + {added} = {padded}"))
        steps += self.span_steps(axis)
        steps.append(
            (f"the kernel spans {self.span}, which leaves room", f"{padded} - {self.span} = {room}")
        )
        steps.append(self._moving(size, room, axis))
        plain = self._moves(size) + 1
        steps.append(("and one window where it starts", f"{plain - 1} + 1 = {axis.count(plain)}"))
        if plain != windows:
            begins = (plain - 1) * self.stride
            words = f"the last would start at {begins}, past the input and its padding in front"
            words += f" ({size + self.before}): dropped"
            steps.append((words, f"{plain} - 1 = {axis.count(windows)}"))
        return tuple(steps)

    def span_steps(self, axis: AxisName) -> tuple[Step, ...]:
        """Return the step that says what a dilated kernel spans; none without dilation."""
        if self.dilation == 1:
            return ()
        words = f"{axis.count(self.kernel)} of kernel, {self.dilation} apart, span"
        return ((words, f"{self.dilation}*({self.kernel} - 1) + 1 = {self.span}"),)

    def _moving(self, size: int, room: int, axis: AxisName) -> Step:
        words = f"it moves {axis.count(self.stride)} at a time"
        moves, over = count_of(self._moves(size), "move"), room % self.stride
        if self.stride == 1:
            return words, f"{room} / 1 = {moves}"
        if over and self.ceil:
            words += ", the last one over the edge"
        elif over:
            words += f" ({axis.count(over)} left over)"
        return words, f"{'ceil' if self.ceil else 'floor'}({room} / {self.stride}) = {moves}"

"""What sliding windows do not see, or see too little of (MC603, MC604)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcli.checks.observe.chain import is_convolution
from modelcli.checks.observe.locate import place_of
from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.feature_maps.of_call import sliding_axes
from modelcli.feature_maps.record import AxisResult, count_unseen

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.tracing.record import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Cells of one axis that no window covers."""

    axis: AxisResult
    cells: int
    where: str

    @property
    def share(self) -> float:
        """Their share of the axis."""
        return self.cells / self.axis.size_in


class Unseen(Rule):
    """Input rows or columns that no window covers."""

    id = "MC603"
    title = "rows or columns that no window covers"
    needs = "pass"
    why = "What is there changes nothing: part of the data is thrown away unseen."
    fix = "Pad, use ceil_mode=True, or make the kernel at least as large as the stride."
    justified = (
        "A shortcut's 1 x 1 convolution with a stride skips what its sibling branch sees: not "
        "reported. Less than a twentieth of a map is an info."
    )
    input = "2x1x11x11"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 4, 3, stride=4)  # a column of four is skipped

            def forward(self, x):
                return self.conv(x).mean((2, 3))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 4, 3, stride=2)

            def forward(self, x):
                return self.conv(x).mean((2, 3))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compute what every convolution and pooling leaves."""
        told: set[str] = set()
        worst: dict[Severity, list[tuple[Call, Lost]]] = {}
        for call in context.chain.calls:
            axes = sliding_axes(call)
            if axes is None or call.path in told:
                continue
            lost = max(map(_lost, axes), key=lambda each: each.cells)
            between = lost.where != "at the end"
            if not lost.cells or (between and self._has_sibling(context, call)):
                continue
            if not between and context.larger is not None:
                continue  # what is left over at the end comes of a size that we chose
            told.add(call.path)
            severity = Severity.WARNING if lost.share >= 0.05 else Severity.INFO
            worst.setdefault(severity, []).append((call, lost))
        for severity, found in worst.items():
            yield self._report(context, severity, found)

    def _report(
        self, context: Context, severity: Severity, found: list[tuple[Call, Lost]]
    ) -> Finding:
        call, lost = max(found, key=lambda pair: pair[1].share)
        axis = lost.axis
        before, after = axis.padding or (0, 0)
        padding = str(before) if before == after else f"{before} and {after}"
        more = f"; {len(found) - 1} other layers are alike" if len(found) > 1 else ""
        return self.found(
            call.path,
            f"{lost.cells} of {axis.size_in} rows or columns {lost.where} are never seen by "
            f"'{call.path}' (kernel's reach {axis.span}, stride {axis.stride}, "
            f"padding {padding}){more}",
            severity=severity,
            place=place_of(context.built, call.path),
        )

    def _has_sibling(self, context: Context, call: Call) -> bool:
        """Tell whether another branch sees the map: going back to where it was made and split."""
        calls = context.chain.calls
        for _ in range(_STEPS_BACK):
            source = call.sources[0] if call.sources else None
            if source is None:
                return False
            if any(source in c.sources and c.index != call.index for c in calls):
                return True
            if source < 0 or is_convolution(calls[source]):
                return False
            call = calls[source]
        return False


_STEPS_BACK = 10  # norms, activations and reshaping between a split and a strided layer


def _lost(axis: AxisResult) -> Lost:
    """Return how many cells of an axis no window covers, and where they are."""
    lost = count_unseen(axis.unseen)
    at_end = len(axis.unseen) == 1 and axis.unseen[0][1] == axis.size_in - 1
    return Lost(axis=axis, cells=lost, where="at the end" if at_end else "between the windows")


class MorePadding(Rule):
    """A feature map smaller than its kernel's reach."""

    id = "MC604"
    title = "a map smaller than the kernel's reach"
    needs = "pass"
    why = "Much of what the kernel sees is padding: its outer weights multiply zeros only."
    fix = "Use a smaller kernel or dilation there, less downsampling before, or a larger input."
    justified = (
        "A kernel a little larger than the last map (5 x 5 on 4 x 4) is common: an info. More "
        "padding than data, a reach of over twice the map, is a warning."
    )
    input = "2x3x8x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = nn.Conv2d(3, 8, 3, stride=4, padding=1)
                self.conv2 = nn.Conv2d(8, 8, 5, padding=2)  # on a map of 2 x 2

            def forward(self, x):
                return self.conv2(torch.relu(self.conv1(x))).mean((2, 3))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = nn.Conv2d(3, 8, 3, stride=1, padding=1)
                self.conv2 = nn.Conv2d(8, 8, 5, padding=2)

            def forward(self, x):
                return self.conv2(torch.relu(self.conv1(x))).mean((2, 3))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare sizes of maps with what kernels span."""
        from modelcli.checks.observe.other_size import OUR_SIZE

        if context.larger is not None:
            raise CannotRun(OUR_SIZE)
        worst: dict[Severity, list[tuple[Call, int, int]]] = {}
        told: set[str] = set()
        for call in context.chain.calls:
            axes = sliding_axes(call)
            if axes is None or call.path in told:
                continue
            size, reach = max(
                ((axis.size_in, axis.span or 0) for axis in axes), key=lambda row: row[1] / row[0]
            )
            if reach <= size:
                continue
            told.add(call.path)
            severity = Severity.WARNING if reach > 2 * size else Severity.INFO
            worst.setdefault(severity, []).append((call, size, reach))
        for severity, found in worst.items():
            yield self._report(context, severity, found)

    def _report(
        self, context: Context, severity: Severity, found: list[tuple[Call, int, int]]
    ) -> Finding:
        call, size, reach = max(found, key=lambda row: row[2] / max(1, row[1]))
        more = f"; {len(found) - 1} other layers are alike" if len(found) > 1 else ""
        return self.found(
            call.path,
            f"the kernel of '{call.path}' spans {reach} on a map of {size}{more}",
            severity=severity,
            place=place_of(context.built, call.path),
        )

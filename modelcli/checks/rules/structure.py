"""MC6xx: layers that do nothing, waste, or do not see."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.chain import is_convolution, is_dense
from modelcli.checks.observe.locate import place_of
from modelcli.checks.record import CannotRun, Finding, Options, Severity
from modelcli.checks.rule import Rule, example
from modelcli.feature_maps.of_call import sliding_axes
from modelcli.feature_maps.record import AxisResult, count_unseen

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.tracing.record import Call, Node


class NothingBetween(Rule):
    """Two linear layers with nothing non-linear between."""

    id = "MC601"
    title = "nothing non-linear between two layers"
    needs = "pass"
    why = "Two linear maps in a row are one linear map: the second adds parameters and no power."
    fix = "Put an activation between them, or merge them into one layer."
    justified = (
        "A narrow middle (a low-rank factorisation), grouped convolutions (depthwise separable "
        "ones) and fixed transforms (frozen weights) are meant and not reported."
    )
    input = "2x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 16)
                self.fc2 = nn.Linear(16, 2)

            def forward(self, x):
                return self.fc2(self.fc1(x))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 16)
                self.fc2 = nn.Linear(16, 2)

            def forward(self, x):
                return self.fc2(torch.relu(self.fc1(x)))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Follow every linear call to the only one that takes its output."""
        told: set[tuple[str, str]] = set()
        for call in context.chain.calls:
            if not _is_linear(call):
                continue
            follower = context.chain.only_user(call)
            if follower is None or not _is_linear(follower) or _is_meant(call, follower):
                continue
            if follower.path == call.path:
                continue  # one transform applied along one axis after the other
            if (call.path, follower.path) in told or _is_fixed(context, call, follower):
                continue
            told.add((call.path, follower.path))
            yield self.found(
                call.path,
                f"'{call.path}' ({call.type}) goes straight into '{follower.path}' "
                f"({follower.type})",
                place=place_of(context.built, call.path),
            )


def _is_linear(call: Call) -> bool:
    return (is_convolution(call) or is_dense(call)) and bool(call.output_shapes)


def _is_meant(call: Call, follower: Call) -> bool:
    """Tell whether two linear layers in a row are a factorisation."""
    if call.geometry.get("groups", 1) != 1 or follower.geometry.get("groups", 1) != 1:
        return True
    middle = _width(call, call.output_shapes)
    ends = (_width(call, call.input_shapes), _width(follower, follower.output_shapes))
    return middle < min(ends)


def _is_fixed(context: Context, *calls: Call) -> bool:
    """Tell whether one of the layers is a transform that is not trained."""
    for call in calls:
        module = _module(context, call.path) if call.kind == "module" else None
        weight = getattr(module, "weight", None)
        if weight is not None and not weight.requires_grad:
            return True
    return False


def _width(call: Call, shapes: tuple[tuple[int, ...], ...]) -> int:
    """Return the number of channels or features."""
    shape = shapes[0] if shapes else ()
    if not shape:
        return 0
    if is_convolution(call):
        dims = int(call.base[-2])
        return shape[-dims - 1] if len(shape) > dims else 0
    return shape[-1]


class UselessBias(Rule):
    """A bias directly before batch norm."""

    id = "MC602"
    title = "a bias directly before batch norm"
    severity = Severity.INFO
    needs = "pass"
    why = "Batch norm subtracts the mean, and the bias with it: it has no effect and no gradient."
    fix = "nn.Conv2d(..., bias=False)."
    input = "2x3x8x8"
    wrong = example("""
        class Net(nn.Sequential):
            def __init__(self):
                super().__init__(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    """)
    right = example("""
        class Net(nn.Sequential):
            def __init__(self):
                super().__init__(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at what follows every layer with a bias."""
        found: list[tuple[str, int]] = []
        for call in context.chain.calls:
            if call.kind != "module" or not (is_convolution(call) or is_dense(call)):
                continue
            follower = context.chain.only_user(call, passing=False)
            if follower is None or "BatchNorm" not in follower.base:
                continue
            bias = getattr(_module(context, call.path), "bias", None)
            if bias is not None and (call.path, bias.numel()) not in found:
                found.append((call.path, bias.numel()))
        if found:
            path, _ = found[0]
            more = f", and {len(found) - 1} more layers" if len(found) > 1 else ""
            total = sum(count for _, count in found)
            yield self.found(
                path,
                f"the bias of '{path}'{more} ({total:,} parameters) goes into a batch norm",
                place=place_of(context.built, path),
            )


def _module(context: Context, path: str) -> Any:
    try:
        return context.built.get_submodule(path)
    except AttributeError:
        return None


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


class OneLayerHoldsAll(Rule):
    """A layer that holds over 90 % of the parameters."""

    id = "MC605"
    title = "one layer holds nearly all parameters"
    severity = Severity.INFO
    needs = "pass"
    why = "Memory, checkpoints and overfitting are this one layer's."
    fix = "Make it narrower, or factorise it."
    input = "2x8x16x16"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(8, 16, 3, padding=1)
                self.fc = nn.Linear(16 * 16 * 16, 64)

            def forward(self, x):
                return self.fc(torch.relu(self.conv(x)).flatten(1))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(8, 16, 3, padding=1)
                self.fc = nn.Linear(16, 64)

            def forward(self, x):
                return self.fc(torch.relu(self.conv(x)).mean((2, 3)))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare every layer's own parameters with the total."""
        total = context.ran.totals.params
        layers = [node for node in context.ran.nodes if node.own_params]
        if total < 10_000 or len(layers) < 2:
            return
        largest = max(layers, key=lambda node: node.own_params)
        share = largest.own_params / total
        if share > 0.9:
            yield self.found(
                largest.path,
                f"'{largest.path}' ({largest.type}) holds {largest.own_params:,} of {total:,} "
                f"parameters, {100 * share:.1f} %",
                fix=_how_to_shrink(largest),
                place=place_of(context.built, largest.path),
            )


def _how_to_shrink(node: Node) -> str:
    if "Embedding" in node.type:
        return "A smaller vocabulary, or an embedding of fewer features and a Linear behind it."
    if node.type == "Linear":
        return (
            "Pool before it (nn.AdaptiveAvgPool2d(1)) if it follows a flattened map; or split it."
        )
    return OneLayerHoldsAll.fix


class FieldTooSmall(Rule):
    """The receptive field is smaller than the object."""

    id = "MC606"
    title = "the receptive field is smaller than the object"
    needs = "values"
    why = "No cell of the last map sees a whole object: it is recognised by its parts only."
    fix = "More layers, strides or dilation before the pooling; --object takes the size in pixels."
    input = "2x1x64x64"
    options = Options(object_size=32)
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
                self.conv2 = nn.Conv2d(8, 8, 3, padding=1)

            def forward(self, x):
                return self.conv2(torch.relu(self.conv1(x))).mean((2, 3))  # sees 5 x 5
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = nn.Conv2d(1, 8, 7, stride=4, padding=3)
                self.conv2 = nn.Conv2d(8, 8, 9, padding=4)

            def forward(self, x):
                return self.conv2(torch.relu(self.conv1(x))).mean((2, 3))  # sees 39 x 39
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Measure what the middle cell of the last map depends on."""
        from modelcli.feature_maps.measure import measure

        wanted = context.options.object_size
        if wanted is None:
            raise CannotRun("needs the object's size; --object PIXELS gives it")
        call, turn = _last_map(context)
        if _sees_everything(context, call):
            return
        model = context.fresh()
        key = (str(call.kind), call.path if call.kind == "module" else call.type, turn)
        inputs = context.filled(model, 1)
        found = measure(model, inputs.args, inputs.kwargs, [key], dims=2, precise=False)
        if key not in found:
            raise CannotRun(f"'{call.path}' could not be measured")
        images = (record.shape for record in context.ran.inputs if len(record.shape) == 4)
        sizes = next(images)[-2:]
        for span, size in zip(found[key].spans, sizes, strict=True):
            if span is None or (span[0] == 0 and span[1] == size - 1):
                continue
            extent = span[1] - span[0] + 1
            if extent < min(wanted, size):
                yield self.found(
                    call.path,
                    f"a cell of '{call.path}' sees {extent} pixels, the object has {wanted}",
                    place=place_of(context.built, call.path),
                )
                return


def _last_map(context: Context) -> tuple[Call, int]:
    """Return the last convolution or pooling with a map of several cells, and its turn."""
    if not any(len(record.shape) == 4 for record in context.ran.inputs):
        raise CannotRun("no input is an image")
    last = None
    for call in context.chain.calls:
        shape = call.output_shapes[0] if call.output_shapes else ()
        if sliding_axes(call) is not None and len(shape) == 4 and math.prod(shape[-2:]) > 1:
            last = call
    if last is None:
        raise CannotRun("no convolution makes a map")
    before = context.chain.calls[: last.index]
    if last.kind == "module":
        return last, sum(call.path == last.path for call in before)
    return last, sum(call.kind == "op" and call.type == last.type for call in before)


def _sees_everything(context: Context, last: Call) -> bool:
    """Tell whether something behind or before mixes all places: attention, a dense layer."""
    attention = (
        "scaled_dot_product_attention",
        "MultiheadAttention",
        "multi_head_attention_forward",
    )
    if any(call.base in attention for call in context.chain.calls):
        return True
    channels = last.output_shapes[0][1]
    follower = context.chain.only_user(last)
    while follower is not None and not is_dense(follower):
        if "pool" in follower.base.lower() or follower.base in ("mean", "amax"):
            return False
        follower = context.chain.only_user(follower)
    return follower is not None and follower.input_shapes[0][-1] > channels


RULES = (NothingBetween, UselessBias, Unseen, MorePadding, OneLayerHoldsAll, FieldTooSmall)

"""Linear layers in a row, and a bias that batch norm takes away (MC601, MC602)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.chain import is_convolution, is_dense
from modelcli.checks.observe.locate import place_of
from modelcli.checks.record import Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.modules import find_module

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.tracing.record import Call


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
        return find_module(context.built, path)
    except KeyError:
        return None

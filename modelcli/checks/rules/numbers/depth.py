"""Signals that vanish or explode through depth (MC502)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from modelcli.checks.record import CannotRun, Finding
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.probe.seen import Depth


# Calibrated on the sound models of benchmarks/checks.py.
_FEWEST_LAYERS = 8
_DEPTH_RATIO = 1e4
_STEADY = 0.8


class DepthScale(Rule):
    """Activations or gradients vanish or explode through depth."""

    id = "MC502"
    title = "signals vanish or explode through depth"
    needs = "values"
    why = "Layers at one end do not learn, or the first steps overflow."
    fix = "Initialise for the activation (kaiming for ReLU), normalise, or add residual branches."
    input = "8x32"
    wrong = example("""
        class Net(nn.Sequential):
            def __init__(self):
                layers = []
                for _ in range(20):
                    layers += [nn.Linear(32, 32), nn.Sigmoid()]
                super().__init__(*layers, nn.Linear(32, 2))
    """)
    right = example("""
        class Net(nn.Sequential):
            def __init__(self):
                layers = []
                for _ in range(20):
                    layers += [nn.Linear(32, 32), nn.LayerNorm(32), nn.ReLU()]
                super().__init__(*layers, nn.Linear(32, 2))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Fit a line through the logarithms, layer by layer."""
        ran = context.train_pass
        depths = [depth for depth in ran.seen.depths if depth.activation > 0]
        if len(depths) < _FEWEST_LAYERS:
            raise CannotRun(f"fewer than {_FEWEST_LAYERS} layers with weights ran")
        spreads = [depth.activation for depth in depths]
        yield from self._judge(depths, spreads, "the spread of the activations")
        flowing = [depth for depth in depths if depth.gradient]  # zero is MC203's or MC505's
        sizes = [depth.gradient or 0.0 for depth in flowing]
        if len(flowing) >= _FEWEST_LAYERS:
            yield from self._judge(flowing, sizes, "the gradient")

    def _judge(
        self, depths: Sequence[Depth], sizes: Sequence[float], what: str
    ) -> Iterator[Finding]:
        ratio, steadiness = trend(sizes)
        if max(ratio, 1 / ratio) < _DEPTH_RATIO or steadiness < _STEADY:
            return
        ends = [depths[0].path or depths[0].op, depths[-1].path or depths[-1].op]
        if what == "the gradient":  # which goes the other way
            ends.reverse()
            ratio = 1 / ratio
        direction, change = ("falls", 1 / ratio) if ratio < 1 else ("grows", ratio)
        start = _where_it_starts(depths, sizes)
        yield self.found(
            start.path,
            f"{what} {direction} {change:.1g} times from '{ends[0]}' to '{ends[1]}' over "
            f"{len(depths)} layers; '{start.path or start.op}' is the first to differ tenfold",
        )


def trend(sizes: Sequence[float]) -> tuple[float, float]:
    """Return the factor from first to last of a line through the logarithms, and |r|."""
    floor = 1e-30
    logs = [math.log(max(size, floor)) for size in sizes]
    n = len(logs)
    mean_x, mean_y = (n - 1) / 2, sum(logs) / n
    xx = sum((x - mean_x) ** 2 for x in range(n))
    xy = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(logs))
    yy = sum((y - mean_y) ** 2 for y in logs)
    slope = xy / xx if xx else 0.0
    steadiness = abs(xy) / math.sqrt(xx * yy) if xx and yy else 0.0
    return math.exp(max(-300.0, min(300.0, slope * (n - 1)))), steadiness


def _where_it_starts(depths: Sequence[Depth], sizes: Sequence[float]) -> Depth:
    """Return the first layer at which the size is a tenth of, or ten times, the first one's."""
    first = max(sizes[0], 1e-30)
    for depth, size in zip(depths, sizes, strict=True):
        if not 0.1 < size / first < 10:
            return depth
    return depths[-1]

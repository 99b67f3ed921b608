"""Parameters and MACs that are known by hand, on every rung and inside containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn
from tracing.parts import PARTS, Box, Part

from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.record import Trace


def run(build: Callable[[], nn.Module], part: Part, **options: Any) -> Trace:
    source = Source(
        label=part.name, construct=build, convention=lambda _model: (part.inputs(), "test")
    )
    trace = observe(source, **options)
    assert trace.failure is None, trace.failure
    return trace


def check(trace: Trace, part: Part) -> None:
    totals = trace.totals
    assert (totals.params, totals.macs, totals.flops) == (part.params, part.macs, 2 * part.macs)
    executed = part.params if part.executed is None else part.executed
    assert totals.executed_params == executed
    assert tuple(trace.coverage.uncounted) == part.uncounted
    assert trace.coverage.complete is not bool(part.uncounted)
    check_sums(trace)


def check_sums(trace: Trace) -> None:
    """Children and what a node does itself sum to the node, to the integer."""
    for node in trace.nodes:
        below = [child for child in trace.nodes if child.parent == node.index]
        assert node.macs == node.own_macs + sum(child.macs for child in below)
        for key in ("params", "tied_params", "trainable_params", "buffers", "flops"):
            own = getattr(node, key) - sum(getattr(child, key) for child in below)
            assert own >= 0, (node.path, key)
        if node.kind == "module" and not any(child.kind == "parameter" for child in below):
            assert node.params == node.own_params + sum(child.params for child in below)
    root = trace.nodes[0]
    assert (root.params, root.macs, root.flops) == (
        trace.totals.params, trace.totals.macs, trace.totals.flops,
    )  # fmt: skip


CASES = [
    pytest.param(part, rung, id=f"{part.name}-{rung}") for part in PARTS for rung in part.rungs
]


@pytest.mark.parametrize(("part", "rung"), CASES)
def test_alone(part: Part, rung: Any):
    trace = run(part.build, part, execution=rung)
    assert trace.execution == rung
    check(trace, part)


@pytest.mark.parametrize(("part", "rung"), CASES)
def test_in_a_container(part: Part, rung: Any):
    trace = run(lambda: Box(part.build()), part, execution=rung)
    check(trace, part)
    inner = next(node for node in trace.nodes if node.path == "parts.inner")
    assert (inner.params, inner.macs) == (part.params, part.macs)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_first_rung_that_holds(part: Part):
    check(run(part.build, part), part)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_training_costs_the_same(part: Part):
    trace = run(part.build, part, mode="train")
    extra = {"spectral norm": 200, "spectral norm by hook": 200}  # one step of power iteration
    assert trace.totals.macs == part.macs + extra.get(part.name, 0)
    assert trace.totals.params == part.params


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_an_instance(part: Part):
    source = Source(
        label=part.name,
        instance=part.build().eval(),
        convention=lambda _model: (part.inputs(), "test"),
    )
    trace = observe(source)
    assert trace.failure is None, trace.failure
    check(trace, part)

"""The calls of a trace are a graph: slots, scopes, outputs with names, writes through views."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelcli.api.structure import given_inputs
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.record import Call, Trace


def trace_of(model: nn.Module, *inputs: Tensor, **options: Any) -> Trace:
    source = Source(label="model", instance=model)
    return observe(source, inputs=given_inputs(inputs, {}, source), **options)


def named(trace: Trace, type: str) -> list[Call]:
    return [call for call in trace.calls if call.type == type]


class Alias(nn.Module):
    """Written through a view, then read through the base."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.fc(x)
        y[:, :4].mul_(2.0)  # the view is gone when y is read
        a, b = y.chunk(2, dim=1)
        y[:, 0] = 1.0
        return b + a, y


class Twice(nn.Module):
    """One block, called twice, and an LSTM; a dictionary comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.lstm = nn.LSTM(8, 8, batch_first=True)

    def forward(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        mid = self.block(x)
        x = self.block(mid[:1])
        out, (hidden, cell) = self.lstm(x.unsqueeze(1))
        return {"out": out + h, "hidden": hidden, "cell": cell, "mid": mid, "same": h}


@pytest.mark.parametrize("execution", ["meta", "real"])
def test_a_write_through_a_view_comes_before_what_reads_the_base(execution: str) -> None:
    trace = trace_of(Alias(), torch.zeros(2, 8), execution=execution)
    calls = {call.type: call for call in trace.calls}
    assert calls["chunk"].sources == (calls["Linear"].index,)
    assert calls["chunk"].after == (calls["mul_"].index,)
    assert calls["setitem"].after == (calls["mul_"].index,)
    # chunk's parts are views: setitem wrote into them before they are added
    assert calls["add"].after == (calls["setitem"].index,)
    assert calls["add"].sources == (calls["chunk"].index,) * 2
    assert calls["add"].slots == (1, 0)
    first, second = trace.outputs
    assert (first.name, first.source, first.slot) == ("[0]", calls["add"].index, 0)
    assert (second.name, second.source) == ("[1]", calls["setitem"].index)


def test_a_write_in_place_is_no_write_through_a_view() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4))
    trace = trace_of(model, torch.zeros(2, 4))
    assert [call.sources for call in trace.calls] == [(-1,), (0,), (1,)]
    assert [call.after for call in trace.calls] == [(), (), ()]


class Reused(nn.Module):
    """New memory may lie where old memory was written into."""

    def forward(self, x: Tensor) -> Tensor:
        total = x * 0
        for _ in range(50):
            part = x + 1
            part[:1].add_(1)
            total = total + part.clone()
            del part
            fresh = x + 2
            total = total + fresh
            del fresh
        return total


def test_memory_that_is_used_again_was_not_written_into() -> None:
    trace = trace_of(Reused(), torch.zeros(2, 4), execution="real")
    readers = [call for call in trace.calls if call.after]
    assert [call.type for call in readers] == ["clone"] * 50
    assert all(trace.calls[call.after[0]].type == "add_" for call in readers)


def test_each_run_of_a_block_is_a_scope_with_its_own_shapes() -> None:
    trace = trace_of(Twice(), torch.zeros(2, 8), torch.zeros(1, 1, 8))
    assert [scope.parent for scope in trace.scopes] == [None, 0, 0]
    assert [trace.nodes[scope.node].path for scope in trace.scopes] == ["", "block", "block"]
    assert [scope.turn for scope in trace.scopes] == [0, 0, 1]
    assert [scope.output_shapes for scope in trace.scopes[1:]] == [((2, 8),), ((1, 8),)]
    assert [call.scope for call in named(trace, "Linear")] == [1, 2]
    assert [call.scope for call in named(trace, "LSTM")] == [0]
    assert [call.flops for call in named(trace, "Linear")] == [2 * 2 * 8 * 8, 2 * 8 * 8]


def test_outputs_have_names_sources_and_slots() -> None:
    trace = trace_of(Twice(), torch.zeros(2, 8), torch.zeros(1, 1, 8))
    lstm, add = named(trace, "LSTM")[0], named(trace, "add")[0]
    assert add.sources == (lstm.index, -1)
    assert add.slots == (0, 1)  # the second input of the model
    relu = named(trace, "ReLU")[0]
    assert [(o.name, o.source, o.slot) for o in trace.outputs] == [
        ("['out']", add.index, 0),
        ("['hidden']", lstm.index, 1),
        ("['cell']", lstm.index, 2),
        ("['mid']", relu.index, 0),
        ("['same']", -1, 1),
    ]
    assert trace.outputs[1].shape == (1, 1, 8)
    assert lstm.output_dtypes == ("float32",) * 3


def test_dtypes_of_outputs_are_those_of_the_tensors() -> None:
    class Casting(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x.to(torch.bfloat16).max(dim=1)  # type: ignore[return-value]

    trace = trace_of(Casting(), torch.zeros(2, 8))
    assert named(trace, "max")[0].output_dtypes == ("bfloat16", "int64")
    row = next(node for node in trace.nodes if node.type == "max")
    assert row.output_dtypes == ("bfloat16", "int64")
    assert [output.dtype for output in trace.outputs] == ["bfloat16", "int64"]


def test_a_failed_pass_has_no_outputs_and_tells_the_scope_of_the_failure() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(5, 5)))
    trace = trace_of(model, torch.zeros(2, 4))
    assert trace.outputs == ()
    assert trace.failure is not None
    assert trace.failure.call is not None
    assert trace.failure.call.sources == (1,)
    assert trace.scopes[trace.failure.call.scope].parent == 0
    assert trace.scopes[1].output_shapes == ()


class Conditional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 1, lambda y: y.sin(), lambda y: y.cos(), (x,)) + 1


def test_what_an_operator_runs_is_a_scope_of_its_own() -> None:
    trace = trace_of(Conditional(), torch.zeros(2, 4))
    cos, add = named(trace, "cos")[0], named(trace, "add")[0]
    scope = trace.scopes[cos.scope]
    assert trace.nodes[scope.node].kind == "op"
    assert add.sources == (cos.index,)

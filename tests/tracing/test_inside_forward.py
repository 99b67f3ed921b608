"""What a forward does beyond calling layers: gradients, branches, loops, masks, depth."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop
from torch.nn import functional as F
from torch.nn.attention import bias

from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.observe import observe
from modelcli.tracing.record import Trace

RUNGS = ["meta", "fake", "real"]


def look(build: Callable[[], nn.Module], *shapes: tuple[int, ...], **options: Any) -> Trace:
    request = InputRequest(specs=tuple(InputSpec(shape=shape) for shape in shapes))
    trace = observe(Source(label="net", construct=build), request, **options)
    assert trace.failure is None, trace.failure
    return trace


class ForceField(nn.Module):
    """An energy, and its gradient by the positions."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 16), nn.Linear(16, 1)

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        positions = positions.requires_grad_(True)
        energy = self.b(torch.tanh(self.a(positions))).sum()
        (gradient,) = torch.autograd.grad(energy, positions, create_graph=self.training)
        return energy, -gradient


class Physics(nn.Module):
    """A second derivative of the model's own output."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 8, bias=False), nn.Linear(8, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x.requires_grad_(True)
        u = self.b(torch.tanh(self.a(x)))
        (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        return torch.autograd.grad(first.sum(), x)[0]


class InnerLoop(nn.Module):
    """One step of a fit inside of forward."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.zeros_like(x, requires_grad=True)
        self.a(z).sum().backward()
        assert z.grad is not None
        return x + z.grad


@pytest.mark.parametrize("execution", RUNGS)
@pytest.mark.parametrize(
    ("build", "shape", "macs"),
    [
        # 5 x 64 forward, and as much for the gradient by the input
        (ForceField, (5, 3), 2 * 5 * (48 + 16)),
        # forward, first derivative, and of the second the 160 that lead back to the input
        (Physics, (5, 2), 2 * 5 * (16 + 8) + 160),
        # forward, and the gradients by the input and by the weight
        (InnerLoop, (5, 3), 3 * 15),
    ],
)
def test_gradients_that_forward_asks_for_are_counted(
    build: Callable[[], nn.Module], shape: tuple[int, ...], macs: int, execution: str
) -> None:
    trace = look(build, shape, execution=execution)
    assert (trace.totals.macs, trace.coverage.complete, trace.execution) == (macs, True, execution)


def test_the_input_of_a_force_field_is_inferred() -> None:
    trace = observe(Source(label="net", construct=ForceField))
    assert (trace.failure, trace.inputs[0].shape[-1]) == (None, 3)


def test_a_forward_that_lacks_gradients_for_another_reason_still_fails() -> None:
    class Cut(ForceField):
        def forward(self, positions: Tensor) -> Any:
            energy = self.a(positions.detach()).detach().sum()
            return torch.autograd.grad(energy, positions)

    trace = observe(
        Source(label="net", construct=Cut), InputRequest(specs=(InputSpec(shape=(5, 3)),))
    )
    assert trace.failure is not None
    assert "does not require grad" in trace.failure.message


class Branch(nn.Module):
    """Two layers or one, by a sum that the input decides."""

    def __init__(self, above: float) -> None:
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.above = above

    def forward(self, x: Tensor) -> Any:
        return torch.cond(
            x.sum() > self.above, lambda y: self.a(self.a(y)), lambda y: self.a(y), (x,)
        )


@pytest.mark.parametrize(("above", "calls"), [(1e9, 1), (-1e9, 2)])
def test_the_branch_of_a_cond_that_is_taken(above: float, calls: int) -> None:
    trace = look(lambda: Branch(above), (4, 8))
    assert (trace.totals.macs, trace.execution) == (calls * 256, "real")
    rows = {node.path: (node.calls, node.macs) for node in trace.nodes}
    assert rows["a"] == (calls, calls * 256)


def test_every_turn_of_a_while_loop() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(16, 16)

        def forward(self, x: Tensor) -> Any:
            start = (torch.tensor(0), x)
            return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, self.a(x)), start)[1]

    trace = look(Loop, (1, 16))
    assert (trace.totals.macs, trace.coverage.complete) == (768, True)
    assert {node.path: node.calls for node in trace.nodes}["a"] == 3


class Masked(nn.Module):
    """Attention of 4 queries on 6 keys under one of torch's own masks."""

    def __init__(self, mask: Callable[..., Any]) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, q: Tensor, k: Tensor) -> Any:
        return F.scaled_dot_product_attention(q, k, k, attn_mask=self.mask(4, 6))


@pytest.mark.parametrize("execution", [*RUNGS, None])
@pytest.mark.parametrize("mask", [bias.causal_lower_right, bias.causal_upper_left])
def test_the_masks_of_torch(mask: Callable[..., Any], execution: str | None) -> None:
    trace = look(lambda: Masked(mask), (1, 2, 4, 8), (1, 2, 6, 8), execution=execution)
    assert (trace.totals.macs, trace.coverage.complete) == (2 * 4 * 6 * 16, True)
    assert "__new__" not in vars(bias.CausalBias)
    assert bias.causal_lower_right(4, 6)._materialize().sum() == 3 + 4 + 5 + 6


@pytest.mark.parametrize("levels", [120, 200, 400])
def test_modules_nested_as_deep_as_torch_runs_them(levels: int) -> None:
    def build() -> nn.Module:
        module: nn.Module = nn.Linear(4, 4)
        for _ in range(levels):
            module = nn.Sequential(module)
        return module

    limit = sys.getrecursionlimit()
    trace = look(build, (2, 4))
    assert (trace.totals.macs, trace.totals.params) == (32, 20)
    assert trace.nodes[-1].depth == levels
    assert sys.getrecursionlimit() == limit


def test_the_input_of_a_branch_is_inferred_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("compiled")

    monkeypatch.setattr(torch, "compile", refuse)
    trace = observe(Source(label="net", construct=lambda: Branch(1e9)))
    assert (trace.failure, trace.inputs[0].shape[-1]) == (None, 8)

"""Where the values of a tensor leave torch, coverage says so and names the line."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.observe import observe
from modelcli.tracing.record import Trace
from modelcli.views.summary import describe_coverage, show_costs

WEIGHT = np.ones((4, 3), dtype=np.float32)


class Net(nn.Module):
    """A layer of 32 MACs, and then what a case does with its output."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.fc(x))


class Product(torch.autograd.Function):
    """A product that NumPy computes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.from_numpy(x.detach().numpy() @ WEIGHT)


def by_list(x: Tensor) -> Tensor:
    rows = x.tolist()
    return torch.tensor([[sum(a * b for a, b in zip(row, row, strict=True))] for row in rows])


def by_items(x: Tensor) -> Tensor:
    return torch.from_numpy(np.array([[v.item() for v in row] for row in x]) @ WEIGHT)


def by_floats(x: Tensor) -> Tensor:
    total = np.dot(np.full(4, float(x[0, 0])), WEIGHT)
    return torch.from_numpy(total)


def by_local_import(x: Tensor) -> Tensor:
    import scipy.linalg as other

    return x * float(other.norm([x[0, 0].item()]))


def by_a_loop_of_items(x: Tensor) -> Tensor:
    total = 0.0
    for i in range(3):
        total += x[0, i].item() * x[1, i].item()
    return x * total


def by_floats_alone(x: Tensor) -> Tensor:
    return x * sum(float(a) * float(b) for a, b in zip(x[0], x[1], strict=True))


def by_memory(x: Tensor) -> Tensor:
    ctypes.memset(x.data_ptr(), 0, 4)
    return x


LEAVING: dict[str, tuple[Callable[[Tensor], Any], dict[str, int]]] = {
    "numpy": (lambda x: torch.from_numpy(x.numpy() @ WEIGHT), {"numpy": 1}),
    "NumPy's function": (lambda x: torch.from_numpy(np.linalg.norm(x, axis=1)), {"__array__": 1}),
    "asarray": (lambda x: torch.from_numpy(np.asarray(x) @ WEIGHT), {"__array__": 1}),
    "a function of autograd": (Product.apply, {"numpy": 1}),
    "dlpack": (lambda x: torch.from_numpy(np.from_dlpack(x) @ WEIGHT), {"__dlpack__": 1}),
    "list": (by_list, {"tolist": 1}),
    "numbers": (by_items, {"item": 8}),
    "floats": (by_floats, {"__float__": 1}),
    "an import inside": (by_local_import, {"item": 1}),
    "a loop of items": (by_a_loop_of_items, {"item": 3}),  # from the fourth on
    "floats alone": (by_floats_alone, {"__float__": 5}),
    "memory": (by_memory, {"data_ptr": 1}),
}


def halve(x: Tensor) -> Tensor:
    return x / 2 if x.max() > 1 else x


def settle(x: Tensor) -> Tensor:
    for _ in range(8):
        if x.abs().max().item() < 1e-9:
            break
        x = x / 2
    return x


STAYING: dict[str, Callable[[Tensor], Any]] = {
    "a question": halve,
    "a question in a loop": settle,
    "a number": lambda x: x * (1 + float(x.sum()) * 0),
    "mathematics": lambda x: x * math.cos(x[0, 0].item()),
    "lengths": lambda x: x.split(torch.tensor([1, 1]).tolist()),
    "ids": lambda x: F.one_hot(x.argmax(-1), 4)[:, list(x.argmax(-1).tolist())],
    "an array comes in": lambda x: x @ torch.from_numpy(WEIGHT)[:, :0],
}


def look(function: Callable[[Tensor], Any], **options: Any) -> Trace:
    source = Source(label="net", construct=lambda: Net(function))
    request = InputRequest(specs=(InputSpec(shape=(2, 4)),))
    trace = observe(source, request, **options)
    assert trace.failure is None, trace.failure
    return trace


@pytest.mark.parametrize("name", LEAVING)
def test_what_leaves_is_named(name: str) -> None:
    function, uncounted = LEAVING[name]
    trace = look(function)
    assert (trace.totals.macs, dict(trace.coverage.uncounted)) == (32, uncounted)
    assert not trace.coverage.complete
    assert dict(trace.nodes[0].uncounted) == uncounted
    (reason,) = set(trace.coverage.reasons.values())
    assert reason.startswith("a tensor left torch in test_leaving.py, line ")
    assert reason.endswith("; what is done with it there is not seen")


def test_the_line_is_that_of_the_users_code_and_the_cost_is_a_lower_bound() -> None:
    trace = look(by_list)
    line = by_list.__code__.co_firstlineno + 1
    assert f"tolist (1 call; a tensor left torch in test_leaving.py, line {line};" in (
        describe_coverage(trace)
    )
    assert show_costs(trace) == ">= 32 MACs, >= 64 FLOPs"


@pytest.mark.parametrize("name", STAYING)
def test_what_stays_is_not_named(name: str) -> None:
    trace = look(STAYING[name])
    assert (trace.totals.macs, dict(trace.coverage.uncounted)) == (32, {})


def test_a_constant_on_meta_is_no_work_of_the_model() -> None:
    table = torch.arange(4.0)
    trace = look(lambda x: x * float(np.sum(table.numpy())), execution="meta")
    assert dict(trace.coverage.uncounted) == {}

"""Products with sparse tensors: one MAC for each stored value and what it meets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modelcli.loading.example import ExampleInputs, example_from
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.formulas import find_formula
from modelcli.tracing.record import Trace
from modelcli.views.summary import describe_coverage

DENSE = torch.tensor(
    [[1.0, 0, 0, 2, 0, 0], [0, 0, 0, 0, 0, 0], [0, 3, 0, 0, 4, 0], [5, 0, 0, 0, 0, 0],
     [0, 0, 0, 0, 6, 0], [0, 0, 7, 0, 0, 8]]
)  # fmt: skip
STORED = 8
BLOCKS = 6  # of 2 x 2, that hold something
LAYOUTS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "coo": (Tensor.to_sparse, STORED),
    "csr": (Tensor.to_sparse_csr, STORED),
    "csc": (Tensor.to_sparse_csc, STORED),
    "bsr": (lambda t: t.to_sparse_bsr((2, 2)), 4 * BLOCKS),
    "bsc": (lambda t: t.to_sparse_bsc((2, 2)), 4 * BLOCKS),
}
PRODUCTS: dict[str, tuple[Callable[[Tensor, Tensor], Any], set[str], int]] = {
    "adj @ x": (lambda a, x: a @ x, {"coo", "csr", "csc", "bsr"}, 4),
    "x @ adj": (lambda a, x: x.t() @ a, {"coo", "csr", "csc", "bsc"}, 4),
    "adj.t() @ x": (lambda a, x: a.t() @ x, {"coo", "csr", "csc", "bsc"}, 4),
    "linear": (lambda a, x: F.linear(x.t(), a), {"coo", "csr", "csc", "bsr"}, 4),
    "linear with bias": (
        lambda a, x: F.linear(x.t(), a, x[:, 0]), {"csr", "csc", "bsr"}, 4,
    ),
    "vector": (lambda a, x: torch.mv(a, x[:, 0]), {"coo", "csr", "csc", "bsr"}, 1),
    "addmv": (lambda a, x: torch.addmv(x[:, 1], a, x[:, 0]), {"csr", "csc"}, 1),
    "torch.sparse.mm": (torch.sparse.mm, {"coo", "csr", "csc", "bsr"}, 4),
    "torch.sparse.addmm": (lambda a, x: torch.sparse.addmm(x, a, x), {"coo", "csr", "csc"}, 4),
    "reduced": (lambda a, x: torch.sparse.mm(a, x, "sum"), {"csr"}, 4),
    "smm": (torch.smm, {"coo"}, 4),
    "hspmm": (torch.hspmm, {"coo"}, 4),
    "sampled": (lambda a, x: torch.sparse.sampled_addmm(a, x, x.t()), {"csr"}, 4),
    "softmax": (lambda a, x: torch.sparse.softmax(a, 1), {"coo"}, 0),
    "batch": (
        lambda a, x: torch.bmm(torch.stack([a, a]), torch.stack([x, x])), {"coo"}, 8,
    ),
}  # fmt: skip
CASES = [(name, layout) for name, (_, layouts, _) in PRODUCTS.items() for layout in sorted(layouts)]


class Graph(nn.Module):
    """A constant sparse matrix that meets the input."""

    def __init__(self, function: Callable[..., Any], adj: Tensor) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("adj", adj)

    def forward(self, x: Tensor) -> Any:
        return self.function(self.adj, x)


def look(model: Callable[[], nn.Module], *args: Any, **options: Any) -> Trace:
    source = Source(label="graph", construct=model)
    trace = observe(source, inputs=ExampleInputs(args=args), **options)
    assert trace.failure is None, trace.failure
    return trace


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_stored_values_are_counted(name: str, layout: str) -> None:
    function, _, times = PRODUCTS[name]
    convert, stored = LAYOUTS[layout]
    trace = look(lambda: Graph(function, convert(DENSE)), torch.rand(6, 4))
    assert (trace.totals.macs, dict(trace.coverage.uncounted)) == (stored * times, {})


@pytest.mark.parametrize("layout", ["coo", "csr", "csc"])
def test_sparse_times_sparse_counts_the_values_that_meet(layout: str) -> None:
    convert, _ = LAYOUTS[layout]
    meet = int((DENSE != 0).sum(0) @ (DENSE != 0).sum(1))
    trace = look(lambda: Graph(lambda a, x: torch.sparse.mm(a, a), convert(DENSE)), torch.rand(1))
    assert meet == 11
    assert (trace.totals.macs, trace.coverage.complete) == (11, True)


def test_a_model_that_makes_its_matrix_in_forward() -> None:
    def forward(_adj: Tensor, x: Tensor) -> Tensor:
        places = torch.tensor([[0, 1, 1], [2, 0, 0]])  # one place twice: both are multiplied
        return torch.sparse_coo_tensor(places, torch.ones(3), (3, 6)) @ x

    trace = look(lambda: Graph(forward, DENSE), torch.rand(6, 4))
    assert (trace.totals.macs, trace.coverage.complete) == (12, True)


def test_a_sparse_input_and_a_sparse_weight() -> None:
    class Convolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3, bias=False)

        def forward(self, x: Tensor, adj: Tensor) -> Tensor:
            return torch.sparse.mm(adj, self.fc(x))

    inputs = example_from((torch.rand(6, 4), DENSE.to_sparse()), "example")
    assert inputs is not None
    trace = observe(Source(label="graph", construct=Convolution), inputs=inputs)
    assert (trace.failure, trace.totals.macs) == (None, 6 * 12 + STORED * 3)
    assert trace.nodes[0].input_shapes == ((6, 4), (6, 6))

    def sparse_layer() -> nn.Module:
        layer = nn.Linear(6, 6)
        layer.weight = nn.Parameter(DENSE.to_sparse_csr())
        return layer

    trace = look(sparse_layer, torch.rand(5, 6))
    assert (trace.totals.macs, trace.coverage.complete) == (5 * STORED, True)
    assert trace.totals.params == 36 + 6
    assert trace.totals.param_bytes == STORED * 4 + (7 + STORED) * 8 + 6 * 4


def test_on_meta_the_product_is_named_with_its_reason() -> None:
    trace = look(
        lambda: Graph(lambda a, x: (a @ x) @ x.t(), DENSE.to_sparse_csr()),
        torch.rand(6, 4),
        execution="meta",
    )
    assert trace.execution == "meta"
    assert trace.totals.macs == 6 * 4 * 6
    assert dict(trace.coverage.uncounted) == {"mm": 1}
    assert "mm (1 call; how many values a sparse tensor holds is not known without its values)" in (
        describe_coverage(trace)
    )


def test_where_values_tell_the_pass_is_real_and_says_so() -> None:
    trace = look(lambda: Graph(lambda a, x: a @ x, DENSE.to_sparse()), torch.rand(6, 4))
    assert trace.execution == "real"
    assert trace.remarks == (
        "ran for real: how many values a sparse tensor holds is not known without its values",
    )


def test_a_matrix_whose_values_come_from_the_input_is_counted_for_real_or_named() -> None:
    def graph() -> nn.Module:
        return Graph(lambda a, x: (x * a).to_sparse() @ x, DENSE)

    trace = look(graph, torch.ones(6, 6))
    assert (trace.execution, trace.totals.macs) == ("real", STORED * 6)
    assert trace.coverage.complete
    trace = look(graph, torch.ones(6, 6), execution="fake")
    assert (trace.totals.macs, dict(trace.coverage.uncounted)) == (0, {"mm": 1})


def test_the_backward_pass_counts_stored_values_too() -> None:
    trace = look(lambda: Graph(torch.sparse.mm, DENSE.to_sparse()), torch.rand(6, 4), backward=True)
    assert (trace.totals.macs, trace.totals.backward_flops) == (STORED * 4, 2 * STORED * 4)


@pytest.mark.parametrize(
    ("name", "shapes", "out", "macs"),
    [
        ("_sparse_semi_structured_linear", ((8, 32), (64, 16), (64, 2)), (8, 64), 8 * 64 * 16),
        ("_sparse_semi_structured_mm", ((64, 16), (64, 2), (32, 8)), (64, 8), 8 * 64 * 16),
        (
            "_sparse_semi_structured_addmm",
            ((64,), (64, 16), (64, 2), (32, 8)), (64, 8), 8 * 64 * 16,
        ),
        ("_cslt_sparse_mm", ((64 * 18,), (32, 8)), (64, 8), 8 * 64 * 16),
    ],
)  # fmt: skip
def test_two_of_four_weights_are_left(
    name: str, shapes: tuple[tuple[int, ...], ...], out: tuple[int, ...], macs: int
) -> None:
    formula = find_formula(getattr(torch.ops.aten, name).default)
    assert formula is not None
    tensors = [torch.empty(shape, device="meta") for shape in shapes]
    assert formula(*tensors, out_val=torch.empty(out, device="meta")) == 2 * macs

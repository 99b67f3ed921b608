"""Single operations: what they cost, what is free, and what is honestly not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import flop_registry
from tracing.parts import Lambda

from modelcli.loading.example import ExampleInputs
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.formulas import find_formula, free
from modelcli.tracing.free import FREE
from modelcli.tracing.record import Trace


def r(*shape: int) -> Tensor:
    return torch.rand(shape)


COUNTED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {
    "mm": (torch.mm, (r(3, 4), r(4, 5)), 60),
    "matmul of a batch": (torch.matmul, (r(2, 3, 4), r(2, 4, 5)), 120),
    "matmul that broadcasts": (torch.matmul, (r(2, 1, 3, 4), r(7, 4, 5)), 2 * 7 * 60),
    "matrix and vector": (torch.matmul, (r(3, 4), r(4)), 12),
    "vector and matrix": (torch.matmul, (r(3), r(3, 4)), 12),
    "dot": (torch.dot, (r(9), r(9)), 9),
    "inner": (torch.inner, (r(3, 4), r(5, 4)), 60),
    "addmm": (torch.addmm, (r(5), r(3, 4), r(4, 5)), 60),
    "addmm scaled": (lambda c, a, b: torch.addmm(c, a, b, beta=2, alpha=3),
                     (r(3, 5), r(3, 4), r(4, 5)), 60),
    "addmv": (torch.addmv, (r(3), r(3, 4), r(4)), 12),
    "addr": (torch.addr, (r(3, 4), r(3), r(4)), 12),
    "addbmm": (torch.addbmm, (r(3, 5), r(2, 3, 4), r(2, 4, 5)), 120),
    "baddbmm": (torch.baddbmm, (r(2, 3, 5), r(2, 3, 4), r(2, 4, 5)), 120),
    "chain": (torch.chain_matmul, (r(2, 3), r(3, 4), r(4, 5)), 24 + 40),
    "tensordot": (lambda a, b: torch.tensordot(a, b, dims=2), (r(2, 3, 4), r(3, 4, 5)), 120),
    "einsum": (lambda a, b: torch.einsum("bij,bkj->bik", a, b), (r(2, 3, 4), r(2, 5, 4)), 120),
    "conv_tbc": (torch.conv_tbc, (r(10, 2, 3), r(3, 3, 5), r(5)), 8 * 2 * 45),
    "dilated convolution": (lambda x, w: F.conv2d(x, w, dilation=2), (r(1, 2, 9, 9), r(3, 2, 3, 3)),
                            5 * 5 * 54),
    "attention": (F.scaled_dot_product_attention, (r(2, 3, 5, 4), r(2, 3, 7, 4), r(2, 3, 7, 6)),
                  2 * 3 * 5 * 7 * 10),
    "causal attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
                         (r(1, 2, 5, 4), r(1, 2, 5, 4), r(1, 2, 5, 4)), 2 * 25 * 8),
    "grouped queries": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        (r(1, 4, 5, 4), r(1, 2, 5, 4), r(1, 2, 5, 4)), 4 * 25 * 8),
    "bilinear": (F.bilinear, (r(2, 3), r(2, 4), r(5, 3, 4)), 2 * 60),
    "triangular system": (lambda a, b: torch.linalg.solve_triangular(a, b, upper=True),
                          (r(2, 4, 4).triu() + torch.eye(4), r(2, 4, 5)), 2 * 5 * 6),
    "distances by a product": (torch.cdist, (r(30, 3), r(40, 3)), 30 * 40 * 3),
    "cosine similarity": (F.cosine_similarity, (r(2, 3), r(2, 3)), 0),
    "layer norm": (lambda x: F.layer_norm(x, (4,)), (r(2, 4),), 0),
    "softmax": (lambda x: x.softmax(-1), (r(2, 4),), 0),
    "pooling": (lambda x: F.avg_pool2d(F.max_pool2d(x, 2), 2), (r(1, 2, 8, 8),), 0),
    "interpolation": (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
                      (r(1, 2, 8, 8),), 0),
    "sort and top": (lambda x: x.sort(-1).values.topk(2).values, (r(2, 8),), 0),
    "split and cat": (lambda x: torch.cat([*x.split(2), *x.chunk(2)]), (r(8, 2),), 0),
    "unfold": (lambda x: F.fold(F.unfold(x, 2), (8, 8), 2), (r(1, 2, 8, 8),), 0),
    "loss": (lambda x: F.cross_entropy(x, torch.zeros(3, dtype=torch.int64)), (r(3, 4),), 0),
}  # fmt: skip
UNKNOWN: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "inverse": (torch.linalg.inv, (r(3, 3) + torch.eye(3) * 9,), "linalg_inv_ex"),
    "singular values": (torch.linalg.svdvals, (r(3, 3),), "_linalg_svd"),
    "distances": (torch.cdist, (r(4, 3), r(5, 3)), "_cdist_forward"),
}  # fmt: skip


def run(function: Callable[..., Any], args: tuple[Any, ...], execution: Any) -> Trace:
    source = Source(label="operation", construct=lambda: Lambda(function))
    trace = observe(source, inputs=ExampleInputs(args=args), execution=execution)
    assert trace.failure is None, trace.failure
    return trace


@pytest.mark.parametrize("execution", ["meta", "real"])
@pytest.mark.parametrize("name", COUNTED)
def test_macs(name: str, execution: str):
    function, args, macs = COUNTED[name]
    trace = run(function, args, execution)
    assert trace.coverage.uncounted == {}
    assert trace.totals.macs == macs
    assert (trace.coverage.counted > 0) is (macs > 0)


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_neither_free_nor_a_contraction_is_named(name: str):
    function, args, op = UNKNOWN[name]
    trace = run(function, args, "real")
    assert dict(trace.coverage.uncounted) == {op: 1}
    assert not trace.coverage.complete


def test_flexible_attention_is_counted_over_the_whole_square():
    from torch.nn.attention.flex_attention import flex_attention

    q = r(1, 2, 128, 16)
    trace = run(lambda x: flex_attention(x, x, x), (q,), None)
    assert trace.totals.macs == 2 * 128 * 128 * 32
    assert trace.coverage.complete


def test_the_branch_that_is_taken_is_counted():
    def choose(x: Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda y: y @ y, lambda y: y + 1, (x,))

    assert run(choose, (torch.ones(3, 3),), "real").totals.macs == 27
    assert run(choose, (-torch.ones(3, 3),), "real").totals.macs == 0


@pytest.mark.parametrize("execution", ["meta", "real"])
def test_under_inference_mode_composite_operations_are_counted(execution: str):
    def infer(x: Tensor) -> Tensor:
        with torch.inference_mode():
            y = F.linear(x @ x, x)
            return F.scaled_dot_product_attention(y[None, None], y[None, None], y[None, None])

    trace = run(infer, (r(4, 4),), execution)
    assert trace.totals.macs == 64 + 64 + 2 * 64
    assert trace.coverage.complete


def test_a_checkpointed_part_is_counted_once_in_the_forward():
    from torch.utils.checkpoint import checkpoint

    trace = run(lambda x: checkpoint(lambda y: y @ y, x, use_reentrant=False), (r(3, 3),), "meta")
    assert trace.totals.macs == 27


def test_an_operator_of_someone_elses_is_named():
    @torch.library.custom_op("modelcli_tests::double", mutates_args=())
    def double(x: Tensor) -> Tensor:
        return x * 2

    @double.register_fake
    def _(x: Tensor) -> Tensor:
        return torch.empty_like(x)

    for execution in ("meta", "real"):
        trace = run(lambda x: double(x) @ x, (r(3, 3),), execution)
        assert dict(trace.coverage.uncounted) == {"modelcli_tests::double": 1}
        assert trace.totals.macs == 27


def test_nothing_that_torch_counts_is_called_free():
    names = {packet.__name__ for packet in flop_registry}
    assert not names & FREE
    for packet in flop_registry:
        for overload in packet.overloads() if hasattr(packet, "overloads") else ():
            assert find_formula(getattr(packet, overload)) is not free, packet


def test_every_free_name_is_an_operation():
    schemas = torch._C._jit_get_all_schemas()
    known = {s.name.split("::")[1] for s in schemas if s.name.startswith("aten::")}
    endings = ("", "_", "_backward", "_backward_data", "_double_backward")
    assert {name for name in FREE if not any(name + e in known for e in endings)} == set()

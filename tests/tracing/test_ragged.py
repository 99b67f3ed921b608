"""Sequences of different lengths: each counts with its own length, packed or nested."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.varlen import varlen_attn

from modelcli.loading.example import ExampleInputs, example_from
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.formulas import find_formula
from modelcli.tracing.record import Trace
from modelcli.views.summary import summary_body

LENGTHS = (3, 5)
SQUARES = 9 + 25
UNKNOWN = "the lengths of its sequences are not known without values"


def packed(*, heads: int = 2, width: int = 16) -> Tensor:
    return torch.rand(sum(LENGTHS), heads, width).bfloat16()


def look(build: Callable[[], nn.Module], *args: Any, **options: Any) -> Trace:
    trace = observe(
        Source(label="net", construct=build), inputs=ExampleInputs(args=args), **options
    )
    assert trace.failure is None, trace.failure
    return trace


class Packed(nn.Module):
    """Attention over two sequences behind one another, whose offsets forward makes or is given."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, offsets: Tensor | None = None) -> Any:
        if offsets is None:
            offsets = torch.tensor([0, 3, 8], dtype=torch.int32)
        return varlen_attn(q, k, v, offsets, offsets, 5, 5)


def test_packed_attention_counts_each_length() -> None:
    trace = look(Packed, packed(), packed(), packed())
    assert (trace.totals.macs, trace.coverage.complete) == (SQUARES * 2 * (16 + 16), True)


def test_offsets_that_are_an_input() -> None:
    offsets = torch.tensor([0, 1, 8], dtype=torch.int32)
    trace = look(Packed, packed(), packed(), packed(), offsets)
    assert (trace.totals.macs, trace.coverage.complete) == ((1 + 49) * 2 * 32, True)


def test_offsets_that_cover_nothing_are_no_zero() -> None:
    offsets = torch.zeros(3, dtype=torch.int32)
    trace = look(Packed, packed(), packed(), packed(), offsets)
    assert dict(trace.coverage.uncounted) == {"torch_attn::_varlen_attn": 1}
    assert dict(trace.coverage.reasons) == {
        "torch_attn::_varlen_attn": "the offsets of its sequences do not cover the tokens"
    }


def test_offsets_without_values_are_named() -> None:
    class Computed(nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Any:
            offsets = F.pad(lengths.to(q.device).cumsum(0).int(), (1, 0))
            return varlen_attn(q, k, v, offsets, offsets, 5, 5)

    trace = look(Computed, packed(), packed(), packed(), torch.tensor(LENGTHS), execution="meta")
    assert (trace.totals.macs, dict(trace.coverage.reasons)) == (
        0,
        {"torch_attn::_varlen_attn": UNKNOWN},
    )


@pytest.mark.parametrize(
    ("name", "arguments", "times"),
    [
        ("_flash_attention_forward", "qkvoo", 1),
        ("_flash_attention_backward", "gqkvglooo", 2.5),
        ("_efficient_attention_forward", "qkv-oo", 1),
        ("_efficient_attention_backward", "gqkv-gooo", 2.5),
    ],
)
def test_the_fused_kernels(name: str, arguments: str, times: float) -> None:
    formula = find_formula(getattr(torch.ops.aten, name).default)
    assert formula is not None
    efficient = name.startswith("_efficient")
    dense = torch.empty((1, 8, 2, 16) if efficient else (8, 2, 16), device="meta")
    known: dict[str, Any] = dict.fromkeys("qkvgl", dense)
    known["-"] = None
    for offsets, cost in (
        (torch.tensor([0, 3, 8]), 2 * SQUARES * 2 * 32 * times),
        (torch.empty(3, dtype=torch.int64, device="meta"), UNKNOWN),
    ):
        args = [known[letter] if letter != "o" else offsets for letter in arguments]
        if name.endswith("backward"):
            args = args[:8]
        assert formula(*args, 5, 5, out_val=None) == cost


class Nested(nn.Module):
    """Two sequences as one nested tensor, and what a case does with it."""

    def __init__(self, layout: torch.layout, function: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4, bias=False)
        self.layout, self.function = layout, function

    def forward(self, a: Tensor, b: Tensor) -> Any:
        both = torch.nested.nested_tensor([a, b], layout=self.layout)
        return torch.nested.to_padded_tensor(self.function(self.fc, both), 0.0)


def attend(_: nn.Module, x: Tensor) -> Tensor:
    heads = x.unflatten(-1, [2, 4]).transpose(1, 2)
    return F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(-2)


@pytest.mark.parametrize(
    ("layout", "function", "macs"),
    [
        (torch.jagged, lambda fc, x: fc(x), 8 * 32),
        (torch.jagged, lambda fc, x: F.gelu(fc(x)) + 1, 8 * 32),
        (torch.jagged, lambda fc, x: x @ fc.weight.t(), 8 * 32),
        (torch.jagged, attend, SQUARES * 2 * (4 + 4)),
        (torch.strided, lambda fc, x: fc(x), 8 * 32),
        (torch.strided, lambda fc, x: torch.bmm(x, x.transpose(1, 2)), SQUARES * 8),
        (torch.strided, lambda fc, x: torch.matmul(x, x.transpose(1, 2)), SQUARES * 8),
    ],
)
def test_nested_tensors(layout: torch.layout, function: Callable[..., Any], macs: int) -> None:
    trace = look(lambda: Nested(layout, function), torch.rand(3, 8), torch.rand(5, 8))
    assert (trace.totals.macs, dict(trace.coverage.uncounted)) == (macs, {})


@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_the_shape_of_a_nested_tensor(layout: torch.layout) -> None:
    trace = look(lambda: Nested(layout, lambda fc, x: fc(x)), torch.rand(3, 8), torch.rand(5, 8))
    layer = next(node for node in trace.nodes if node.path == "fc")
    assert (layer.input_shapes, layer.output_shapes) == (((2, -1, 8),), ((2, -1, 4),))
    assert layer.output_bytes == 8 * 4 * 4
    row = next(row for row in summary_body(trace)["rows"] if row["path"] == "fc")
    assert json.loads(json.dumps(row["input_shapes"])) == [[2, -1, 8]]


@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_a_nested_input(layout: torch.layout) -> None:
    both = torch.nested.nested_tensor([torch.rand(3, 8), torch.rand(5, 8)], layout=layout)
    inputs = example_from(both, "example")
    assert inputs is not None
    assert inputs.records[0].shape == (2, -1, 8)
    trace = observe(Source(label="net", construct=lambda: nn.Linear(8, 4)), inputs=inputs)
    assert (trace.failure, trace.totals.macs) == (None, 8 * 32)


def test_an_encoder_layer_takes_nested_tensors_on_its_fast_path() -> None:
    both = torch.nested.nested_tensor([torch.rand(3, 8), torch.rand(5, 8)])
    inputs = example_from(both, "example")
    assert inputs is not None

    def build() -> nn.Module:
        return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    enabled = torch.backends.mha.get_fastpath_enabled()
    trace = observe(Source(label="net", construct=build), inputs=inputs)
    assert trace.failure is None
    # projections and feed-forward for 8 tokens, scores and sums for each sequence
    assert trace.totals.macs == 8 * (4 * 64 + 2 * 128) + 2 * SQUARES * 8
    assert (trace.coverage.complete, trace.totals.executed_params) == (True, 600)
    assert torch.backends.mha.get_fastpath_enabled() is enabled

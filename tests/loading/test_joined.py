"""A mask that travels joined to activations comes out of them with its values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from tracing.parts import Lambda

from modelcli.loading.example import ExampleInputs
from modelcli.loading.indices import kept_indices
from modelcli.loading.meta import call_on_meta
from modelcli.loading.source import Source
from modelcli.observe import observe

WIDE = 4096  # so that the layers are no cheap real run


def on_meta(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta")


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    return call_on_meta(function, args, kwargs)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (Tensor.__getitem__, ((..., -1),), {}),
        (Tensor.select, (1, 5), {}),
        (Tensor.narrow, (-1, 5, 1), {}),
        (Tensor.split, ([2, 3, 1],), {"dim": -1}),
        (Tensor.unbind, (1,), {}),
        (torch.chunk, (6, 1), {}),
    ],
)
def test_what_was_joined_is_taken_out_with_its_values(function: Any, args: Any, kwargs: Any):
    mask = torch.tensor([[1.0], [0.0], [1.0]])
    with kept_indices():
        joined = call(torch.cat, [on_meta(3, 5), mask], dim=-1)
        assert joined.is_meta
        found = call(function, joined, *args, **kwargs)
    parts = [found] if isinstance(found, Tensor) else found
    assert [part.is_meta for part in parts[:-1]] == [True] * (len(parts) - 1)
    assert parts[-1].flatten().tolist() == [1, 0, 1]
    real = function(torch.empty(3, 6), *args, **kwargs)
    assert parts[-1].shape == (real if isinstance(real, Tensor) else real[-1]).shape


def test_it_comes_through_a_cache_and_a_change_of_shape():
    with kept_indices():
        joined = call(torch.cat, [on_meta(2, 3, 4), torch.ones(2, 3, 1)], dim=-1)
        cached = call(torch.cat, [torch.tensor([]), joined], dim=1)
        turned = call(Tensor.transpose, cached, 0, 1)
        assert turned.is_meta
        assert (
            call(Tensor.__getitem__, turned, (slice(None), slice(None), 4)).tolist() == [[1, 1]] * 3
        )
        assert call(Tensor.__getitem__, turned, (..., slice(3, 5))).is_meta


def test_whole_numbers_stay_exact_and_large_ones_unknown():
    ids = torch.tensor([[7, 2**60 + 1]])
    whole = torch.empty(1, 1, dtype=torch.int64, device="meta")
    with kept_indices():
        joined = call(torch.cat, [whole, ids], 1)
        kept = call(Tensor.__getitem__, joined, (0, 1))
        assert (kept.item(), kept.dtype) == (7, torch.int64)
        assert call(Tensor.__getitem__, joined, (0, 2)).is_meta


def test_what_was_written_into_is_forgotten():
    with kept_indices():
        joined = call(torch.cat, [on_meta(3, 5), torch.ones(3, 1)], dim=-1)
        call(Tensor.zero_, joined)
        assert call(Tensor.__getitem__, joined, (..., -1)).is_meta


def test_nothing_is_remembered_outside_of_such_a_pass_or_of_the_large():
    joined = call(torch.cat, [on_meta(3, 5), torch.ones(3, 1)], dim=-1)
    assert call(Tensor.__getitem__, joined, (..., -1)).is_meta
    with kept_indices():
        joined = call(torch.cat, [on_meta(1 << 20, 1), torch.ones(1 << 20, 1)], dim=-1)
        assert call(Tensor.__getitem__, joined, (..., -1)).is_meta


def test_a_model_that_keeps_what_its_mask_says_costs_what_it_costs_with_memory():
    def masked(x: Tensor) -> Tensor:
        valid = torch.arange(x.shape[0], device=x.device).lt(2).to(x.dtype)
        packed = torch.cat([x, valid[:, None]], dim=-1)
        states, kept = packed.split([WIDE, 1], dim=-1)
        return states[kept.bool().squeeze(-1)] @ x.new_empty(WIDE, WIDE).t()

    inputs = ExampleInputs(args=(torch.rand(5, WIDE),))
    source = Source(label="m", construct=lambda: Lambda(masked))
    trace = observe(source, inputs=inputs)
    assert (trace.failure, trace.execution) == (None, "meta")
    assert trace.totals.macs == 2 * WIDE * WIDE
    assert trace.totals.macs == observe(source, inputs=inputs, execution="real").totals.macs

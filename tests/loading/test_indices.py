"""Index arithmetic with values on models without memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from tracing.parts import Lambda

from modelcli.loading.example import ExampleInputs
from modelcli.loading.indices import kept_indices
from modelcli.loading.meta import call_on_meta
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.record import Trace

WIDE = 4096  # so that the layers are no cheap real run


class Experts(nn.Module):
    """Each token goes to its two best experts of four, in a loop over those that are hit."""

    def __init__(self, count: int = 4, top: int = 2) -> None:
        super().__init__()
        self.top = top
        self.gate = nn.Linear(WIDE, count, bias=False)
        self.experts = nn.ModuleList(nn.Linear(WIDE, WIDE, bias=False) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        _, chosen = self.gate(x).topk(self.top, dim=-1)
        mask = nn.functional.one_hot(chosen, len(self.experts)).permute(2, 1, 0)
        out = torch.zeros_like(x)
        for number in (mask.sum(dim=(-1, -2)) > 0).nonzero():
            _, tokens = torch.where(mask[int(number)])
            out.index_add_(0, tokens, self.experts[int(number)](x[tokens]))
        return out


def described(model: Any, *args: Tensor) -> Trace:
    return observe(Source(label="m", construct=lambda: model), inputs=ExampleInputs(args=args))


def test_experts_that_are_looped_over_cost_what_any_choice_costs():
    trace = described(Experts(), torch.rand(6, WIDE))
    assert trace.failure is None
    assert trace.execution == "meta"
    assert trace.totals.macs == 6 * WIDE * 4 + 6 * 2 * WIDE * WIDE
    assert trace.coverage.complete
    assert "what topk choose is spread evenly: there are no values" in trace.remarks


def test_without_a_choice_nothing_is_said_of_one():
    def masked(x: Tensor) -> Tensor:
        mask = torch.ones(3, 3, dtype=torch.bool, device=x.device).tril()
        rows = int(mask.sum())  # six places are below or on the diagonal
        return x.expand(rows, WIDE) @ x.new_empty(WIDE, WIDE).t()

    trace = described(Lambda(masked), torch.rand(1, WIDE))
    assert trace.execution == "meta"
    assert trace.totals.macs == 6 * WIDE * WIDE
    assert not any("spread" in remark for remark in trace.remarks)


def test_what_depends_on_activations_alone_is_not_made_up():
    def chosen(x: Tensor) -> Tensor:
        return x[x > 0.5]

    with kept_indices(), pytest.raises((NotImplementedError, RuntimeError)):
        call_on_meta(torch.nonzero, (torch.empty(3, device="meta"),), {})
    trace = described(Lambda(chosen), torch.tensor([0.0, 1.0, 1.0]))
    assert trace.execution == "real"
    assert trace.output_shapes == ((2,),)


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "values"),
    [
        (torch.arange, (3,), {}, [0, 1, 2]),
        (torch.ones, ((2,),), {"dtype": torch.bool}, [True, True]),
        (torch.tensor, ([4, 5],), {}, [4, 5]),
        (torch.full, ((2,), 7), {}, [7, 7]),
    ],
)
def test_small_whole_numbers_have_values(function: Any, args: Any, kwargs: Any, values: Any):
    given = {**kwargs, "device": torch.device("meta")}
    assert call_on_meta(function, args, dict(given)).is_meta
    with kept_indices():
        assert call_on_meta(function, args, dict(given)).tolist() == values


def test_weights_and_large_masks_stay_without_memory():
    with kept_indices():
        for shape in ((600, 600), (8, 8, 8)):
            made = call_on_meta(torch.zeros, (shape,), {"device": torch.device("meta")})
            assert made.is_meta
        mask = call_on_meta(torch.ones, ((600, 600),), {"device": "meta", "dtype": torch.bool})
        assert mask.is_meta


def test_a_choice_names_each_place_once_and_goes_round():
    scores = torch.empty(3, 5, device="meta")
    with kept_indices() as chosen:
        values, places = call_on_meta(torch.topk, (scores, 2), {})
        order = call_on_meta(torch.argsort, (scores,), {"dim": 0})
        best = call_on_meta(torch.argmax, (scores, 1), {})
    assert (values.is_meta, tuple(values.shape)) == (True, (3, 2))
    assert places.tolist() == [[0, 1], [2, 3], [4, 0]]
    assert sorted(order[:, 0].tolist()) == [0, 1, 2]
    assert best.tolist() == [0, 1, 2]
    assert chosen == {"topk", "argsort", "argmax"}


def test_autocast_where_the_tensors_are_does_nothing_on_meta():
    def narrowed(x: Tensor) -> Tensor:
        with torch.autocast(device_type=x.device.type, enabled=False):
            return x @ x.new_empty(WIDE, WIDE)

    before = torch.autocast.__init__
    trace = described(Lambda(narrowed), torch.rand(2, WIDE))
    assert (trace.failure, trace.execution) == (None, "meta")
    assert trace.totals.macs == 2 * WIDE * WIDE
    assert torch.autocast.__init__ is before


def test_nothing_without_values_is_written_among_values():
    places = torch.zeros(3)
    with kept_indices(), pytest.raises(NotImplementedError, match="written"):
        call_on_meta(torch.Tensor.add_, (places, torch.empty(3, device="meta")), {})


def test_a_number_is_filled_in_where_a_mask_says():
    filled = call_on_meta(
        torch.Tensor.masked_fill,
        (torch.empty(2, device="meta"), torch.empty(2, dtype=torch.bool, device="meta"),
         torch.tensor(-1.0)), {},
    )  # fmt: skip
    assert filled.is_meta

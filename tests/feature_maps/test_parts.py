"""Slices, crops and unpooling: what is left of a map still sees what it saw."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelcli.feature_maps.flow import trace_rows
from modelcli.feature_maps.proof import prove
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.observe import observe


class Around(nn.Module):
    """A convolution, what is tested, and a convolution."""

    def __init__(self, part: Any, channels: int = 2) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3)
        self.last = nn.Conv2d(channels, 2, 3)
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.part(self.first(x)))


def focus(x: Tensor) -> Tensor:
    return torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)


PARTS = [
    (lambda x: x[:, :, 2:-2, 3:-3], 2, (5, 5)),
    (lambda x: x[..., ::2], 2, (5, 7)),
    (lambda x: x[:, :, 1::3], 2, (9, 5)),
    (lambda x: x.narrow(2, 4, 20), 2, (5, 5)),
    (lambda x: x[..., None][..., 0], 2, (5, 5)),
    (lambda x: x[:, :, 1:, :-1] + x[:, :, :-1, 1:], 2, (6, 6)),
    (focus, 8, (8, 8)),
]


@pytest.mark.parametrize(("part", "channels", "field"), PARTS)
def test_what_is_left_is_measured_as_it_is_computed(part, channels, field) -> None:
    source = Source(label="model", instance=Around(part, channels))
    request = InputRequest(specs=(InputSpec(shape=(1, 1, 40, 40)),))
    trace = observe(source, request)
    assert trace_rows(trace)[-1].receptive_field == field
    proof = prove(
        source, request, trace, execution=None, allow_real=False, report=lambda text: None
    )
    assert proof.claims[-1].row.path == "last"
    assert proof.wrong == ()
    assert proof.measured[proof.claims[-1].key] == proof.claims[-1].spans


def test_one_row_of_a_map_sees_its_window() -> None:
    class Row(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Conv2d(1, 2, 3)
            self.line = nn.Conv1d(2, 2, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.line(self.wide(x)[:, :, 4])

    request = InputRequest(specs=(InputSpec(shape=(1, 1, 20, 20)),))
    rows = trace_rows(observe(Source(label="model", instance=Row()), request))
    assert rows[-1].receptive_field == (3, 7)


class Unpooled(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.up = nn.MaxUnpool2d(2)
        self.last = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y, where = F.max_pool2d(x, 2, return_indices=True)
        if self.how == "position":
            return self.last(self.up(y, where, x.shape))
        if self.how == "keyword":
            return self.last(self.up(y, where, output_size=x.shape))
        return self.last(F.max_unpool2d(y, where, 2, output_size=x.shape))


@pytest.mark.parametrize("how", ["position", "keyword", "function"])
def test_unpooling_is_a_row_with_the_size_that_was_asked_for(how: str) -> None:
    source = Source(label="model", instance=Unpooled(how))
    request = InputRequest(specs=(InputSpec(shape=(1, 2, 17, 19)),))
    trace = observe(source, request)
    rows = trace_rows(trace)
    assert [row.result.output_shape[2:] for row in rows] == [(8, 9), (17, 19), (17, 19)]
    assert rows[1].formula == "H: as asked = 17; W: as asked = 19"
    assert rows[1].receptive_field == (2, 2)
    assert rows[2].receptive_field == (4, 4)
    proof = prove(
        source, request, trace, execution=None, allow_real=False, report=lambda text: None
    )
    assert proof.measured[proof.claims[-1].key] == proof.claims[-1].spans


def test_unpooling_without_a_size_is_the_formula() -> None:
    net = nn.MaxUnpool2d(3, stride=2, padding=1)
    from modelcli.feature_maps.layers.transposed import MaxUnpooling

    x = torch.zeros(1, 1, 4, 5)
    shape = net(x, torch.zeros(1, 1, 4, 5, dtype=torch.int64)).shape
    layer = MaxUnpooling(dims=2, kernel_size=3, stride=2, padding=1)
    assert layer.apply((1, 1, 4, 5)).output_shape == tuple(shape) == (1, 1, 7, 9)

"""What is free by convention, counted by hand and by ``--count all``; more formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import modelcli
from modelcli.api.structure import given_inputs, source_for
from modelcli.observe import observe
from modelcli.tracing.counting import counting
from modelcli.tracing.free import FREE


class Calls(nn.Module):
    """Calls one function."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def other(model: nn.Module, *inputs: torch.Tensor, mode: str = "eval") -> int | None:
    return modelcli.summary(model, inputs, count="all", mode=mode).totals.other_flops


X = torch.zeros(2, 8, 6, 6)
N = X.numel()


@pytest.mark.parametrize(
    ("model", "flops"),
    [
        (nn.ReLU(), N),
        (nn.GELU(), N),
        (nn.SiLU(inplace=True), N),
        (nn.PReLU(), N),
        (nn.Softmax(1), 5 * N),
        (nn.LogSoftmax(1), 5 * N),
        (nn.BatchNorm2d(8), 2 * N),
        (nn.BatchNorm2d(8, affine=False), N),
        (nn.BatchNorm2d(8, track_running_stats=False), 5 * N),
        (nn.LayerNorm(6), 5 * N),
        (nn.LayerNorm(6, elementwise_affine=False), 4 * N),
        (nn.GroupNorm(2, 8), 5 * N),
        (nn.InstanceNorm2d(8), 4 * N),
        (nn.AdaptiveAvgPool2d(1), N),
        (nn.MaxPool2d(2), N),
        (nn.AvgPool2d(3), N),
        (nn.Upsample(scale_factor=2), 4 * N),
        (nn.Upsample(scale_factor=2, mode="bilinear"), 4 * 4 * N),
        (Calls(lambda x: x + x), N),
        (Calls(lambda x: (x * 2).sum()), 2 * N),
        (Calls(lambda x: x.view(2, -1).clone().contiguous()), 0),
        (Calls(lambda x: x.sort(1).values), 0),
        (nn.Identity(), 0),
        (nn.Dropout(), 0),
        (nn.Conv2d(8, 4, 3), 0),
        (nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), 3 * 2 * 4 * 4 * 4),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_the_convention_in_figures(model: nn.Module, flops: int) -> None:
    assert other(model, X) == flops


def test_norms_in_training_take_their_statistics() -> None:
    assert other(nn.BatchNorm2d(8), X, mode="train") == 5 * N + 1  # and the counter of batches


@pytest.mark.parametrize("execution", ["meta", "real"])
def test_attention_has_one_softmax_and_one_scale_however_it_runs(execution: str) -> None:
    q = torch.zeros(1, 2, 5, 4)
    call = Calls(F.scaled_dot_product_attention)
    with counting("all"):
        source = source_for(call)
        given = given_inputs((q, q, q), {}, source)
        trace = observe(source, inputs=given, execution=execution)
    assert trace.totals.other_flops == 5 * 2 * 5 * 5 + 2 * q.numel()


def test_embeddings_cost_nothing_and_a_sampled_grid_four_each() -> None:
    assert other(nn.Embedding(10, 4), torch.zeros(3, dtype=torch.long)) == 0
    grid = torch.zeros(2, 5, 5, 2)
    assert other(Calls(F.grid_sample), X, grid) == 4 * 2 * 8 * 5 * 5


def test_rows_add_up_and_no_total_changes() -> None:
    plain, all_ = (modelcli.summary("lenet", count=count) for count in ("contractions", "all"))
    assert plain.totals.other_flops is None
    assert all_.totals.macs == plain.totals.macs
    children = [row.other_flops for row in all_.rows if row.depth == 1]
    # four ReLUs and two poolings
    hand = 2 * (6 * 28 * 28 + 16 * 10 * 10) + 120 + 84
    assert sum(children) == all_.totals.other_flops == hand


def test_the_command_says_the_convention(run) -> None:
    result = run("summary", "lenet", "--count", "all")
    assert "other FLOPs" in result.out.splitlines()[0]
    (line,) = [line for line in result.out.splitlines() if line.startswith("other ")]
    assert line.startswith("other     12,812 FLOPs (element-wise work and pooling 1 per element")
    assert line.endswith("in no total")
    body = run("summary", "lenet", "--count", "all", "--format", "json").json
    assert body["totals"]["other_flops"] == 12_812
    assert "other_flops" not in run("summary", "lenet", "--format", "json").out
    run("summary", "lenet", "--count", "some").assert_error(2, "some")


def macs(model: nn.Module, *inputs: torch.Tensor) -> int:
    found = modelcli.summary(model, inputs)
    assert found.coverage.complete, found.coverage.uncounted
    assert found.totals.flops // 2 == found.totals.macs
    return found.totals.macs


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda x: torch.fft.fft(torch.complex(x, x)), 5 * 16 * 4 * 3),
        (lambda x: torch.fft.rfft(x), 5 * 16 * 4 * 3 / 2),
        (lambda x: torch.fft.irfft(torch.fft.rfft(x)), 5 * 16 * 4 * 3),
        (lambda x: torch.fft.fft2(torch.complex(x, x)[:, None].expand(3, 8, 16)),
         5 * 128 * 7 * 3),
        (lambda x: torch.fft.rfft(x, n=8), 5 * 8 * 3 * 3 / 2),
    ],
)  # fmt: skip
def test_fourier_transforms(function: Callable[..., torch.Tensor], flops: float) -> None:
    assert macs(Calls(function), torch.zeros(3, 16)) == flops / 2


def test_a_transform_of_another_size_than_a_power_of_two_is_rounded() -> None:
    flops = round(5 * 12 * math.log2(12))
    assert macs(Calls(lambda x: torch.fft.fft(torch.complex(x, x))), torch.zeros(12)) == flops // 2


@pytest.fixture
def torchvision_operators() -> torch.library.Library:
    """Torchvision's own where they load, else operators of the same names and arguments."""
    with torch.library._scoped_library("torchvision", "FRAGMENT") as library:
        has = hasattr(torch.ops.torchvision, "deform_conv2d")
        if not has:
            library.define(
                "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, "
                "Tensor bias, SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, "
                "SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, "
                "bool use_mask) -> Tensor"
            )
            library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

            def convolve(x, weight, offset, mask, bias, *rest):
                height, width = offset.shape[-2:]
                return x.new_empty(x.shape[0], weight.shape[0], height, width)

            for key in ("Meta", "CPU"):
                library.impl("deform_conv2d", convolve, key)
                library.impl("nms", lambda dets, scores, _: scores.new_empty(3), key)
        yield library


@pytest.mark.parametrize(("mask", "read"), [(False, 7), (True, 8)])
def test_deformable_convolution(torchvision_operators, mask: bool, read: int) -> None:
    x, weight, offset = torch.zeros(2, 6, 9, 9), torch.zeros(4, 3, 3, 3), torch.zeros(2, 18, 7, 7)
    masks = torch.zeros(2, 9, 7, 7)

    def call(x, weight, offset, masks):
        return torch.ops.torchvision.deform_conv2d(
            x, weight, offset, masks, weight[:, 0, 0, 0], 1, 1, 0, 0, 1, 1, 2, 1, mask
        )

    inputs = (x, weight, offset, masks)
    assert macs(Calls(call), *inputs) == 2 * 7 * 7 * (4 * 3 * 3 * 3)
    assert other(Calls(call), *inputs) == 2 * 7 * 7 * (6 * 9) * read


def test_search_among_boxes_is_free(torchvision_operators) -> None:
    def call(boxes, scores):
        return torch.ops.torchvision.nms(boxes, scores, 0.5)

    found = modelcli.summary(Calls(call), (torch.zeros(5, 4), torch.zeros(5)))
    assert found.coverage.complete
    assert found.totals.macs == 0


MIX = """
import torch
from torch import nn
from torch.utils.flop_counter import register_flop_formula

@torch.library.custom_op("modelcli_test::{name}", mutates_args=())
def mix(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a @ b

@mix.register_fake
def _(a, b):
    return a.new_empty(a.shape[0], b.shape[1])

{formula}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(8, 4))
    def forward(self, x):
        return torch.ops.modelcli_test.{name}(x, self.w)
"""
FORMULA = """
@register_flop_formula(torch.ops.modelcli_test.mix)
def mix_flops(a_shape, b_shape, *args, out_shape=None, **kwargs):
    return 2 * a_shape[0] * a_shape[1] * b_shape[1]
"""


def test_a_formula_of_ones_own_is_used(run, write: Callable[[str, str], Path]) -> None:
    """As docs/counting.md says it; the operator's namespace can be defined once in a process."""
    from torch.utils.flop_counter import flop_registry

    path = write("mine.py", MIX.format(name="mix", formula=FORMULA))
    other = write("other.py", MIX.format(name="unknown", formula=""))
    words = ("summary", f"{path}:Net", "--input", "2x8", "--format", "json")
    try:
        body = run(*words).json
        assert body["totals"]["macs"] == 2 * 8 * 4
        assert body["coverage"]["complete"] is True
        found = modelcli.summary(f"{other}:Net", torch.zeros(2, 8))
        assert found.coverage.uncounted == {"modelcli_test::unknown": 1}
    finally:
        flop_registry.pop(torch.ops.modelcli_test.mix, None)


def test_every_free_operation_is_of_one_kind() -> None:
    from modelcli.tracing import free

    kinds = [v for k, v in vars(free).items() if isinstance(v, frozenset) and k != "FREE"]
    assert sum(map(len, kinds)) == len(FREE)

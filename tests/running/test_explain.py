"""A cell worked out by hand is the cell that torch computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from modelcli.errors import UsageError
from modelcli.running.explain import Worked, check_cell, explain

_generator = torch.Generator().manual_seed(3)


def _made(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_generator)


CALLS: list[tuple[str, Any, tuple[Any, ...], dict[str, Any]]] = [
    ("conv2d", F.conv2d, (_made(1, 1, 8, 8), _made(2, 1, 3, 3), _made(2)), {}),
    (
        "conv2d",
        F.conv2d,
        (_made(2, 4, 9, 7), _made(6, 2, 3, 2)),
        {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2},
    ),
    ("conv2d", F.conv2d, (_made(3, 6, 6), _made(4, 3, 3, 3), _made(4)), {"padding": "same"}),
    ("conv1d", F.conv1d, (_made(2, 3, 12), _made(5, 3, 4), _made(5)), {"padding": "same"}),
    ("conv3d", F.conv3d, (_made(1, 2, 5, 5, 5), _made(2, 2, 2, 3, 2), _made(2)), {"stride": 2}),
    ("max_pool2d", F.max_pool2d, (_made(1, 2, 8, 8), 3), {"stride": 2, "padding": 1}),
    ("max_pool2d", F.max_pool2d, (_made(2, 7, 7), 2), {"ceil_mode": True}),
    ("avg_pool2d", F.avg_pool2d, (_made(1, 2, 7, 7), 3, 2, 1), {"ceil_mode": True}),
    (
        "avg_pool2d",
        F.avg_pool2d,
        (_made(1, 2, 8, 8), 3),
        {"stride": 2, "padding": 1, "count_include_pad": False},
    ),
    ("avg_pool1d", F.avg_pool1d, (_made(1, 2, 9), 4), {}),
    ("adaptive_avg_pool2d", F.adaptive_avg_pool2d, (_made(1, 2, 7, 5), (3, None)), {}),
    ("adaptive_max_pool1d", F.adaptive_max_pool1d, (_made(1, 2, 7), 3), {}),
    ("interpolate", F.interpolate, (_made(1, 2, 4, 5),), {"scale_factor": 2}),
    (
        "interpolate",
        F.interpolate,
        (_made(1, 2, 4, 5),),
        {"size": (7, 9), "mode": "bilinear", "align_corners": True},
    ),
    (
        "interpolate",
        F.interpolate,
        (_made(1, 2, 4, 5),),
        {"scale_factor": (2.0, 1.5), "mode": "bilinear", "align_corners": False},
    ),
    ("interpolate", F.interpolate, (_made(1, 2, 6),), {"size": 4, "mode": "linear"}),
    ("linear", F.linear, (_made(2, 3, 5), _made(4, 5), _made(4)), {}),
    ("linear", F.linear, (_made(5), _made(4, 5)), {}),
    ("matmul", torch.matmul, (_made(2, 3, 4), _made(4, 5)), {}),
    (
        "batch_norm",
        F.batch_norm,
        (_made(3, 2, 4), _made(2), _made(2).abs(), _made(2), _made(2)),
        {},
    ),
    ("batch_norm", F.batch_norm, (_made(3, 2, 4), None, None), {"training": True}),
    ("layer_norm", F.layer_norm, (_made(3, 2, 4), (2, 4), _made(2, 4), _made(2, 4)), {}),
    ("softmax", F.softmax, (_made(3, 4),), {"dim": 1}),
    ("flatten", torch.flatten, (_made(2, 3, 4, 5), 1), {}),
    ("relu", F.relu, (_made(3, 4),), {}),
    ("sigmoid", torch.sigmoid, (_made(3, 4),), {}),
    ("gelu", F.gelu, (_made(3, 4),), {}),
    ("silu", F.silu, (_made(3, 4),), {}),
    ("add", torch.add, (_made(3, 4), _made(4)), {}),
    ("mul", torch.mul, (_made(3, 4), 2.5), {}),
    (
        "embedding",
        F.embedding,
        (torch.tensor([[1, 0, 3]]), _made(4, 6)),
        {},
    ),
]


@pytest.mark.parametrize(
    ("name", "function", "args", "kwargs"), CALLS, ids=[f"{c[0]}-{i}" for i, c in enumerate(CALLS)]
)
def test_every_cell_is_what_torch_computes(
    name: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    output = function(*args, **kwargs)
    cells = torch.randperm(output.numel(), generator=_generator)[:60].tolist()
    for flat in cells:
        cell = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), output.shape))
        worked = explain(name, args, kwargs, cell)
        assert isinstance(worked, Worked)
        assert worked.value == pytest.approx(float(output[cell]), rel=1e-4, abs=1e-5), cell
        assert worked.lines


def test_a_convolution_shows_window_kernel_and_products() -> None:
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    kernel = torch.tensor([[[[1.0, 2.0], [0.0, -1.0]]]])
    worked = explain("conv2d", (image, kernel, torch.tensor([0.5])), {}, (0, 0, 1, 0))
    assert worked is not None
    assert worked.value == 3 * 1 + 4 * 2 + 6 * 0 + 7 * -1 + 0.5
    assert worked.lines == (
        "window   channel 0, rows 1..2, columns 0..1",
        "",
        "input, channel 0   kernel   product",
        "3  4               1   2    3   8",
        "6  7               0  -1    0  -7",
        "sum of the products 4",
        "",
        "all products 4",
        "plus bias[0] 0.5",
    )


def test_bilinear_shows_four_corners_and_weights() -> None:
    image = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    kwargs = {"scale_factor": 2, "mode": "bilinear", "align_corners": False}
    worked = explain("interpolate", (image,), kwargs, (0, 0, 1, 1))
    assert worked is not None
    assert worked.value == 0.5625 * 0 + 0.1875 * 4 + 0.1875 * 8 + 0.0625 * 12
    assert "  0.5625 * input[0,0] 0" in worked.lines
    assert "  0.0625 * input[1,1] 12" in worked.lines
    assert worked.lines[1] == "axis 0   (1 + 0.5) * 0.5 - 0.5 = 0.25: 0.75 of 0 and 0.25 of 1"


def test_what_is_not_explained_is_none() -> None:
    assert explain("fft", (_made(3),), {}, (0,)) is None
    bicubic = {"size": (4, 4), "mode": "bicubic"}
    assert explain("interpolate", (_made(1, 1, 3, 3),), bicubic, (0, 0, 0, 0)) is None


@pytest.mark.parametrize("cell", [(0, 0), (0, 0, 3), (1, 0, 0), (0, 0, 0, 0)])
def test_a_cell_outside_is_refused(cell: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="is no cell of an output of 1x2x3") as raised:
        check_cell(cell, (1, 2, 3), "conv1")
    assert raised.value.hint == "write one index for each axis, as conv1[0,0,0]"

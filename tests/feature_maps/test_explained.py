"""What --explain says of parameters and of interpolation, against torch itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelcli.feature_maps.layers.resize import Resize

Run = Any


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        (nn.Conv2d(3, 8, 5), "3 * 8 * 5 * 5 + 8 = 608"),
        (nn.Conv2d(4, 8, 3, groups=2, bias=False), "2 * 8 * 3 * 3 = 144, without a bias"),
        (nn.ConvTranspose2d(4, 6, 2), "4 * 6 * 2 * 2 + 6 = 102"),
        (nn.Conv1d(2, 2, 3, groups=2), "1 * 2 * 3 + 2 = 8"),
    ],
)
def test_the_parameters_of_a_layer(run: Run, tmp_path: Any, layer: nn.Module, line: str) -> None:
    count = sum(parameter.numel() for parameter in layer.parameters())
    assert f"= {count}" in line
    path = tmp_path / "net.py"
    path.write_text(
        f"from torch import nn\nfrom torch.nn import *\nnet = nn.Sequential({layer!r})\n"
    )
    channels = layer.in_channels
    shape = "x".join(map(str, (1, channels, *[9] * (layer.weight.dim() - 2))))
    out = run("shapes", f"{path}:net", "--input", shape, "--explain").out
    assert f"  parameters: {line}\n" in out


def test_a_typed_stack_counts_too(run: Run) -> None:
    out = run("shapes", "--input", "1x8x8", "conv:6,k5", "flatten", "linear:10", "--explain").out
    assert "  parameters: 1 * 6 * 5 * 5 + 6 = 156\n" in out
    assert "  parameters: 96 * 10 + 10 = 970\n" in out


@pytest.mark.parametrize("mode", ["linear", "bicubic"])
@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("out", [7, 10, 3])
def test_the_weights_are_those_of_torch(mode: str, corners: bool, out: int) -> None:
    dims = 1 if mode == "linear" else 2
    layer = Resize(dims=dims, size=out, mode=mode, align_corners=corners)
    steps = layer.apply((1, 1, *[5] * dims)).axes[0].steps
    assert f"mode {mode}, align_corners {corners}" in steps[1][0]
    told = [0.0] * 5
    for weight, cell in re.findall(r"(-?[\d.e-]+) of \w+ (\d+)", steps[2][1]):
        told[int(cell)] += float(weight)
    for cell in range(5):
        x = torch.zeros(1, 1, *[5] * dims, dtype=torch.float64)
        x[0, 0, cell] = 1
        y = F.interpolate(x, size=out, mode=mode, align_corners=corners)[0, 0, 1]
        assert told[cell] == pytest.approx(float(y if dims == 1 else y[1]), abs=1e-4)


def test_nearest_says_its_formula(run: Run) -> None:
    out = run("shapes", "--input", "1x4x4", "upsample:x2", "--explain").out
    assert "mode nearest: cell o takes the value of:  floor(o * 0.5)" in out

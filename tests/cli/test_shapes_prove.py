"""Receptive fields measured by backpropagation on the real model, beside the computed ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from modelcli.feature_maps.measure import measure
from modelcli.feature_maps.proof import Claim, claims, verdict
from modelcli.loading.build import build
from modelcli.loading.find import find_source
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.observe import observe

Run = Any


def real(target: str) -> nn.Module:
    return build(find_source(target), execution="real", seed=0)


def prove_last(model: nn.Module, size: int) -> tuple[Claim, list[int]]:
    """Return the claim on the last map, and how many cells were measured along each axis."""
    source = Source(label="model", instance=model)
    trace = observe(source, InputRequest(specs=(InputSpec(shape=(1, 3, size, size)),)))
    claim = claims(trace)[-1]
    found = measure(model, [torch.zeros(1, 3, size, size)], {}, [claim.key], dims=2, precise=False)
    spans = found[claim.key]
    assert verdict(claim, {claim.key: spans}) == "same"
    return claim, [high - low + 1 for low, high in spans if high is not None]


def test_resnet50_as_torchvision_strides() -> None:
    claim, measured = prove_last(real("torchvision:resnet50"), 480)
    assert claim.row.path == "layer4.2.conv3"
    assert measured == [427, 427]


def test_resnet50_as_first_published() -> None:
    model = real("torchvision:resnet50")
    for name in ("layer2", "layer3", "layer4"):
        stage = getattr(model, name)
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    _, measured = prove_last(model, 544)
    assert measured == [483, 483]


def test_mobilenet_v2() -> None:
    _, measured = prove_last(real("torchvision:mobilenet_v2"), 544)
    assert measured == [491, 491]


def test_alexnet_by_command(run: Run) -> None:
    result = run("shapes", "alexnet", "--prove", "--format", "json")
    proof = result.json["proof"]
    assert result.code == 0
    assert proof["input"] == [1, 3, 320, 320]
    rows = {row["path"]: row for row in proof["rows"]}
    assert rows["features.12"]["receptive_field"] == [195, 195]
    assert rows["features.12"]["measured"] == [[62, 256], [62, 256]]
    assert {row["verdict"] for row in proof["rows"]} == {"same"}


@pytest.mark.parametrize("name", ["lenet", "autoencoder", "conv-rect", "conv-same"])
def test_registered_models(run: Run, name: str) -> None:
    rows = run("shapes", name, "--prove", "--format", "json").json["proof"]["rows"]
    assert rows
    assert {row["verdict"] for row in rows} <= {"same", "within the border"}
    assert "same" in {row["verdict"] for row in rows}


def test_a_wrong_claim_is_found_out() -> None:
    spans = ((4, 8), (4, 8))
    trace = observe(find_source("lenet"), InputRequest())
    claim = replace(claims(trace)[0], spans=((3, 9), (3, 9)), cut=False)
    assert verdict(claim, {claim.key: spans}) == "DIFFERS"
    assert verdict(claim, {}) == "not reached"


def test_the_model_is_a_private_one(tmp_path: Any, run: Run) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\n"
        "from torch import nn\n"
        "net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.MaxPool2d(2))\n"
    )
    result = run("shapes", f"{path}:net", "--prove", "--input", "1x1x12x12", "--format", "json")
    assert [row["verdict"] for row in result.json["proof"]["rows"]] == ["same", "same"]


def test_no_map_nothing_to_prove(run: Run) -> None:
    run("shapes", "mlp", "--prove").assert_error(
        2, "there is no receptive field to prove", "no layer"
    )

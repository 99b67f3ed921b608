"""The edges of a graph are those of torch.fx; additions of two tensors are a net's residuals."""

from __future__ import annotations

import pytest
import torch
from graphs.against_fx import fx_edges, our_edges

import modelcli


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "shufflenet_v2_x0_5"])
def test_edges_are_those_of_fx(name: str) -> None:
    trace = modelcli.graph(f"torchvision:{name}").trace
    import torchvision  # after modelcli has made up for operators that may be missing

    with torch.device("meta"):
        model = torchvision.models.get_model(name).eval()
        expected = fx_edges(model, torch.zeros(1, 3, 224, 224))
    assert our_edges(trace) == expected


@pytest.mark.parametrize(
    ("name", "residuals"), [("resnet26", 8), ("convnext_atto", 12), ("mixer_s32_224", 16)]
)
def test_additions_of_two_tensors_are_the_known_residuals(name: str, residuals: int) -> None:
    pytest.importorskip("timm")
    trace = modelcli.graph(f"timm:{name}").trace
    adds = [
        call
        for call in trace.calls
        if call.type in ("add", "add_") and sum(source is not None for source in call.sources) == 2
    ]
    assert len(adds) == residuals

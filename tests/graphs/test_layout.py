"""What may not be in a picture: boxes on boxes, arrows through boxes, a crooked spine."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from graphs.geometry import crooked, faults
from torch import Tensor, nn

import modelcli
from modelcli.graphs.draw import nested_boxes
from modelcli.graphs.layout import Direction, Picture, lay_out
from modelcli.graphs.opening import open_boxes
from modelcli.tracing.record import Trace
from modelcli.views.graph_words import TextMeasure

MODELS = (
    "lenet", "parallel", "autoencoder", "torchvision:resnet18", "torchvision:googlenet",
    "torchvision:densenet121", "torchvision:swin_t", "timm:hrnet_w18_small", "timm:tiny_vit_5m_224",
)  # fmt: skip


def picture_of(
    trace: Trace,
    how: Literal["once", "all", "none"],
    direction: Direction = "down",
    folds: bool = True,
) -> Picture:
    root = nested_boxes(trace, folds=folds)
    return lay_out(root, open_boxes(root, how), TextMeasure(), direction=direction)


@pytest.mark.parametrize("target", MODELS)
def test_no_box_overlaps_and_no_arrow_runs_through_one(target: str) -> None:
    if ":" in target:
        pytest.importorskip(target.partition(":")[0])
    trace = modelcli.graph(target).trace
    for how, direction, folds in (("once", "down", True), ("all", "right", True),
                                  ("all", "down", False)):  # fmt: skip
        picture = picture_of(trace, how, direction, folds)  # type: ignore[arg-type]
        assert faults(picture) == []
        assert crooked(picture.arrows) == []


def test_what_is_searched_for_would_be_found() -> None:
    picture = picture_of(modelcli.graph("lenet").trace, "once")
    first, second, *rest = picture.boxes[1:]
    moved = replace(second, y=first.y)
    assert faults(replace(picture, boxes=(picture.boxes[0], first, moved, *rest)))
    between = replace(second, y=second.y - 20)
    found = faults(replace(picture, boxes=(picture.boxes[0], first, between, *rest)))
    assert any("runs through" in fault for fault in found)


class Residual(nn.Module):
    def __init__(self, deep: int = 0) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 8), nn.Linear(8, 8)
        self.inner = Residual(deep - 1) if deep else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fc2(self.inner(self.fc1(x)))


def test_the_spine_is_straight_through_all_levels() -> None:
    trace = modelcli.graph(Residual(3), torch.zeros(1, 8)).trace
    picture = picture_of(trace, "all")
    named = ("fc1", "fc2", "add", "input", "output")
    drawn = [box for box in picture.boxes if not box.is_open and box.box.name in named]
    middles = [box.x + box.width / 2 for box in drawn]
    assert len(middles) == 3 * 4 + 2
    assert max(middles) - min(middles) < 0.5


def test_a_skip_runs_beside_what_it_skips() -> None:
    trace = modelcli.graph(Residual(), torch.zeros(1, 8)).trace
    picture = picture_of(trace, "all")
    widest = max(box.x + box.width for box in picture.boxes[1:])
    assert max(x for arrow in picture.arrows for x, _ in arrow.points) > max(
        box.x + box.width for box in picture.boxes[1:] if box.box.name in ("fc1", "fc2")
    )
    assert widest <= picture.width

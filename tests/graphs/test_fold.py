"""Equal neighbours are drawn once, where nothing tells them apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import modelcli
from modelcli.graphs.draw import nested_boxes
from modelcli.graphs.record import Box


class Block(nn.Module):
    def __init__(self, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.act(self.fc(x))


ACTS = (nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid)


def boxes_of(model: nn.Module, *, folds: bool = True) -> Box:
    return nested_boxes(modelcli.graph(model, torch.zeros(2, 8)).trace, folds=folds)


def repeats(root: Box) -> list[tuple[str, int, int]]:
    return [(box.kind, box.repeat, sum(1 for _ in box.boxes()))
            for box in root.walk() if box.repeat > 1]  # fmt: skip


@pytest.mark.parametrize("period", [1, 2, 3, 4])
def test_periods_up_to_four_are_found(period: int) -> None:
    model = nn.Sequential(*[Block(ACTS[n % period]) for n in range(3 * period)])
    root = boxes_of(model)
    kind = "module" if period == 1 else "frame"
    assert repeats(root) == [(kind, 3, 3 if period == 1 else period)]
    folded = next(box for box in root.walk() if box.repeat > 1)
    assert folded.names == tuple(str(n) for n in range(3 * period))
    assert folded.params * folded.repeat == root.params == 3 * period * 72


class Skipping(nn.Module):
    """The output of one block is read at the end, too."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block() for _ in range(4)])
        self.at = at

    def forward(self, x: Tensor) -> Tensor:
        kept = x
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number == self.at:
                kept = x
        return x * kept


def test_a_skip_out_of_one_keeps_it_apart() -> None:
    assert repeats(boxes_of(Skipping(at=0))) == [("module", 3, 3)]
    assert repeats(boxes_of(Skipping(at=3))) == [("module", 4, 3)]


class Listing(nn.Module):
    """Every block's output is one of the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block() for _ in range(5)])

    def forward(self, x: Tensor) -> dict[str, object]:
        states = []
        for block in self.blocks:
            x = block(x)
            states.append(x)
        return {"last": x, "states": tuple(states)}


def test_blocks_that_all_feed_one_list_are_folded() -> None:
    root = boxes_of(Listing())
    assert repeats(root) == [("module", 5, 3)]
    outputs = [box for box in root.boxes() if box.kind == "output"]
    assert [(box.name, len(box.output_shapes)) for box in outputs] == [("last", 1), ("states", 5)]


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(4):
            x = self.block(x)
        return x


def test_one_block_that_runs_again_is_folded_and_counted_once() -> None:
    root = boxes_of(Shared())
    assert repeats(root) == [("module", 4, 3)]
    runs = [box for box in boxes_of(Shared(), folds=False).boxes() if box.type == "Block"]
    assert [(box.turn, box.params, box.macs) for box in runs] == [
        (0, 72, 128), (1, 0, 128), (2, 0, 128), (3, 0, 128),
    ]  # fmt: skip


def test_other_shapes_are_not_folded() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 6), nn.Linear(6, 6), nn.Linear(6, 4))
    assert repeats(boxes_of(model)) == []

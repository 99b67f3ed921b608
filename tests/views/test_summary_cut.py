"""A summary cut to one's need: columns, order, the first rows, equal blocks written once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import modelcli
from modelcli.errors import UsageError


class Block(nn.Module):
    def __init__(self, width: int = 8, inner: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))


class Stack(nn.Module):
    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.h = nn.ModuleList(blocks)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for block in self.h:
            x = block(x)
        return self.head(x)


def layers(model: nn.Module, **cut: object) -> list[str]:
    table = modelcli.summary(model, (1, 8), depth=None, **cut).tables()[0]
    return [str(row[0]).strip() for row in table.rows]


def test_equal_blocks_are_written_once_with_their_count() -> None:
    shown = layers(Stack(*(Block() for _ in range(12))), fold=True)
    assert shown == ["Stack", "h", "0 ... 11 x 12", "fc1", "relu *", "fc2", "add *", "head"]


def test_two_kinds_in_turn_are_two_rows() -> None:
    blocks = [Block(inner=16 + 8 * (turn % 2)) for turn in range(6)]
    shown = layers(Stack(*blocks), fold=True)
    assert [row for row in shown if " x " in row] == ["0, 2 ... 4 x 3", "1, 3 ... 5 x 3"]


def test_a_block_that_differs_in_one_parameter_is_told_apart() -> None:
    blocks = [Block() for _ in range(5)]
    blocks[2].fc1.weight.requires_grad_(False)
    shown = layers(Stack(*blocks), fold=True)
    assert [r for r in shown if r[0].isdigit()] == ["0, 1 x 2", "2", "3, 4 x 2"]


def test_a_shared_block_and_a_tied_weight_are_not_folded_into_the_others() -> None:
    first, second = Block(), Block()
    second.fc1.weight = first.fc1.weight
    shown = layers(Stack(first, second, Block(), Block()), fold=True)
    assert [r for r in shown if r[0].isdigit()] == ["0", "1", "2, 3 x 2"]


def test_names_that_are_no_numbers_are_not_folded() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q_norm, self.k_norm = nn.LayerNorm(8), nn.LayerNorm(8)

        def forward(self, x):
            return self.k_norm(self.q_norm(x))

    assert layers(Two(), fold=True) == ["Two", "q_norm", "k_norm"]


def test_a_sorted_list_holds_the_whole_model_once() -> None:
    model = Stack(*(Block() for _ in range(4)))
    table = modelcli.summary(model, (1, 8), sort="macs").tables()[0]
    keys = [column.key for column in table.columns]
    macs = [row[keys.index("macs")] for row in table.rows]
    assert macs == sorted(macs, reverse=True)
    assert sum(macs) == modelcli.summary(model, (1, 8)).totals.macs == 4 * 256 + 24


def test_a_folded_list_counts_its_blocks_in_the_share_that_it_tells() -> None:
    model = Stack(*(Block() for _ in range(4)))
    table = modelcli.summary(model, (1, 8), sort="macs", fold=True, top=2).tables()[0]
    assert [row[0] for row in table.rows] == ["h.{0 ... 3}.fc1 x 4", "h.{0 ... 3}.fc2 x 4"]
    share = 100 * 4 * 256 / (4 * 256 + 24)
    assert f"the first 2 rows by macs, {share:.1f} % of the MACs" in "\n".join(table.notes)


@pytest.mark.parametrize("fold", [False, True])
def test_what_runs_up_in_a_tree_ends_at_the_whole(fold: bool) -> None:
    model = Stack(*(Block() for _ in range(4)))
    summary = modelcli.summary(model, (1, 8), depth=None, columns=["cumulative"], fold=fold)
    table = summary.tables()[0]
    values = {row[0].strip(): row[-1] for row in table.rows}
    assert values["head"] == values["Stack"] == 1
    assert values["h"] == pytest.approx(1024 / 1048, abs=1e-6)


def test_kernels_are_those_of_the_call_functions_too() -> None:
    table = modelcli.summary("lenet", columns=["kernel", "stride", "padding", "dtype"]).tables()[0]
    rows = {row[1]: row[-4:] for row in table.rows}
    assert rows["conv1"] == ([5, 5], [1, 1], [0, 0], "float32")
    assert rows["max_pool2d"] == ([2, 2], [2, 2], [0, 0], None)
    assert rows["fc1"] == (None, None, None, "float32")


def test_a_mixed_model_says_both_types_of_elements() -> None:
    model = Stack(Block(), Block().to(torch.float64))
    table = modelcli.summary(model, (1, 8), columns=["dtype"]).tables()[0]
    assert next(row[-1] for row in table.rows if row[0].strip() == "h") == "float32, float64"


def test_shares_are_of_the_model() -> None:
    table = modelcli.summary("lenet", columns=["params_share", "macs_share"]).tables()[0]
    rows = {row[0].strip(): row[-2:] for row in table.rows}
    assert rows["fc1"] == (round(48_120 / 61_706, 6), round(48_000 / 416_520, 6))


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        ({"columns": ["parms"]}, "there is no column 'parms'"),
        ({"columns": ["macs", "MACs"]}, "names 'macs' twice"),
        ({"columns": []}, "names no column"),
        ({"sort": "kernel"}, "'kernel' has no order"),
        ({"sort": "macs:down"}, "'down' is no direction"),
        ({"top": 0}, "top is 0"),
    ],
)
def test_what_cannot_be_shown_is_told(cut: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        modelcli.summary("lenet", **cut)

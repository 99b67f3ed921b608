"""What a model says of its inputs is taken at its word: on its class, on itself, nested or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run

Write = Callable[[str, str], Path]

PREAMBLE = """
import collections
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.embed = nn.Embedding(10, 6)
    def forward(self, x, other=None):
        return self.fc(x)

class Deep(Net):
    def forward(self, batch, scale=1):
        x, y = batch["x"][0], batch["y"]["z"]
        return self.fc(x) + self.fc(y) * scale

class Ids(Net):
    def forward(self, ids, lengths):
        assert lengths.tolist() == [3, 2], lengths
        return self.fc(self.embed(ids))

Batch = collections.namedtuple("Batch", "left right")

class Named(Net):
    def forward(self, batch):
        return self.fc(batch.left) + self.fc(batch.right)

def made(net, **said):
    for name, value in said.items():
        setattr(net, name, value)
    return net

def tensor(): return made(Net(), example_inputs=torch.zeros(5, 6))
def tuple_(): return made(Net(), example_inputs=(torch.zeros(5, 6),))
def list_(): return made(Net(), example_inputs=[torch.zeros(5, 6), None])
def named(): return made(Net(), example_inputs={"x": torch.zeros(5, 6)})
def shape(): return made(Net(), example_inputs=(5, 6))
def function(): return made(Net(), example_inputs=lambda: torch.zeros(5, 6))
def buffer():
    net = Net()
    net.register_buffer("example_inputs", torch.zeros(5, 6))
    return net
class Method(Net):
    def example_inputs(self): return torch.zeros(5, 6)
class Value(Net):
    example_inputs = torch.zeros(5, 6)
class Property(Net):
    @property
    def example_inputs(self): return (torch.zeros(5, 6),)
instance = made(Net(), example_inputs=torch.zeros(5, 6))
def lightning(): return made(Net(), example_input_array=torch.zeros(5, 6))

def deep():
    return made(Deep(), example_inputs=({"x": [torch.zeros(2, 6)], "y": {"z": torch.zeros(2, 6)}},))
def tuples(): return made(Named(), example_inputs=(Batch(torch.zeros(2, 6), torch.zeros(4, 1, 6)),))
ids = made(Ids(), example_inputs=(torch.ones(2, 3, dtype=torch.long), torch.tensor([3, 2])))
def fails():
    net = Net()
    def example_inputs(): raise KeyError("size")
    return made(net, example_inputs=example_inputs)
def text(): return made(Net(), example_inputs="1x6")
"""


@pytest.mark.parametrize(
    "name",
    "tensor tuple_ list_ named shape function buffer Method Value Property instance "
    "lightning".split(),
)
def test_it_is_honoured_wherever_it_is_said(run: Run, write: Write, name: str):
    path = write("net.py", PREAMBLE)
    body = run("summary", f"{path}:{name}", "--format", "json").json
    assert body["inputs"][0]["shape"] == [5, 6]
    assert body["inputs"][0]["origin"].startswith("example_input")
    assert body["totals"]["macs"] == 5 * 18


@pytest.mark.parametrize(
    ("name", "inputs", "macs"),
    [
        ("deep", {"batch.x[0]": [2, 6], "batch.y.z": [2, 6]}, 4 * 18),
        ("tuples", {"batch.left": [2, 6], "batch.right": [4, 1, 6]}, 6 * 18),
        ("ids", {"0": [2, 3], "1": [2]}, 6 * 18),
    ],
)
def test_it_may_be_nested_and_keeps_the_values_of_ids(
    run: Run, write: Write, name: str, inputs: dict[str, list[int]], macs: int
):
    path = write("net.py", PREAMBLE)
    for command in (["--execution", "meta"], ["--execution", "real"]):
        body = run("summary", f"{path}:{name}", *command, "--format", "json").json
        assert body["error"] is None
        assert {row["name"]: row["shape"] for row in body["inputs"]} == inputs
        assert body["totals"]["macs"] == macs


def test_a_batch_size_reaches_what_is_nested(run: Run, write: Write):
    path = write("net.py", PREAMBLE)
    body = run("summary", f"{path}:deep", "--batch-size", "7", "--format", "json").json
    assert [row["shape"] for row in body["inputs"]] == [[7, 6], [7, 6]]
    assert body["totals"]["macs"] == 14 * 18


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", "example_inputs() of"),
        ("text", "example_inputs of Net gives str with no tensor in it"),
    ],
)
def test_what_it_cannot_mean_is_said(run: Run, write: Write, name: str, message: str):
    path = write("net.py", PREAMBLE)
    run("summary", f"{path}:{name}").assert_error(2, message)

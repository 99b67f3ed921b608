"""Inputs follow what a forward does with each of them, its names, and what the model remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

Write = Callable[[str, str], Path]

PREAMBLE = """
from dataclasses import dataclass
import torch
from torch import nn
from torch.nn import functional as F

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.embed = nn.Conv2d(3, 8, 3), nn.Linear(10, 8), nn.Embedding(20, 8)
        self.w = nn.Parameter(torch.ones(5, 8))
"""

# The body of forward, or of the class, and the inputs that must be found: dtype and shape by name.
FORWARDS: dict[str, tuple[str, dict[str, tuple[str, list[int]]]]] = {
    "image beside a table": (
        "def forward(self, image, meta): return self.conv(image).mean((2, 3)) + self.fc(meta)",
        {"image": ("float32", [1, 3, 224, 224]), "meta": ("float32", [1, 10])},
    ),
    "ids beside features": (
        "def forward(self, z, feats): return self.embed(z) + self.fc(feats)",
        {"z": ("int64", [1, 128]), "feats": ("float32", [1, 10])},
    ),
    "a product with a parameter": (
        "def forward(self, x): return x @ self.w",
        {"x": ("float32", [1, 5])},
    ),
    "a parameter from the left": (
        "def forward(self, x): return torch.mm(self.w.t(), x)",
        {"x": ("float32", [5, 128])},
    ),
    "a functional layer": (
        "def forward(self, x): return F.linear(x, self.w)",
        {"x": ("float32", [1, 8])},
    ),
    "an einsum": (
        "def forward(self, x): return torch.einsum('bnd,de->bne', x, self.w)",
        {"x": ("float32", [1, 128, 5])},
    ),
    "transposed before": (
        "def forward(self, x): return self.fc(x.transpose(1, 2))",
        {"x": ("float32", [1, 10, 128])},
    ),
    "permuted before": (
        "def forward(self, x): return self.conv(x.permute(0, 3, 1, 2))",
        {"x": ("float32", [1, 224, 224, 3])},
    ),
    "an axis added before": (
        "def forward(self, x): return self.fc(x.unsqueeze(1))",
        {"x": ("float32", [1, 10])},
    ),
    "taken apart into three": (
        "def forward(self, x):\n        b, n, d = x.shape\n        return self.fc(x).view(b, n, 8)",
        {"x": ("float32", [1, 128, 10])},
    ),
    "a dict": (
        "def forward(self, batch): return self.fc(batch['a']) + self.embed(batch['ids'])",
        {"batch.a": ("float32", [1, 10]), "batch.ids": ("int64", [1, 128])},
    ),
    "an object": (
        "def forward(self, data): return self.fc(data.feats) + self.embed(data.ids)",
        {"data.feats": ("float32", [1, 10]), "data.ids": ("int64", [1, 128])},
    ),
    "a list of different ones": (
        "def forward(self, xs): return self.conv(xs[0]).mean((2, 3)) + self.fc(xs[1])",
        {"xs[0]": ("float32", [1, 3, 224, 224]), "xs[1]": ("float32", [1, 10])},
    ),
    "a graph": (
        "def forward(self, x, edge_index):\n        h = self.fc(x)\n"
        "        return h.index_add(0, edge_index[1], h[edge_index[0]])",
        {"x": ("float32", [16, 10]), "edge_index": ("int64", [2, 32])},
    ),
    "a time step": (
        "def forward(self, x, timestep):\n"
        "        return self.fc(x) + torch.sin(timestep.float())[:, None]",
        {"x": ("float32", [1, 10]), "timestep": ("int64", [1])},
    ),
    "lengths": (
        "def forward(self, ids, lengths):\n"
        "        mask = torch.arange(ids.shape[1])[None] < lengths[:, None]\n"
        "        return self.embed(ids) * mask[..., None]",
        {"ids": ("int64", [1, 128]), "lengths": ("int64", [1])},
    ),
    "a number by its annotation": (
        "def forward(self, x, steps: int):\n        return sum(self.fc(x) for _ in range(steps))",
        {"x": ("float32", [1, 10])},
    ),
    "towers that may be left out": (
        "def forward(self, image=None, text=None):\n        out = []\n"
        "        if image is not None: out.append(self.conv(image).mean((2, 3)))\n"
        "        if text is not None: out.append(self.embed(text).mean(1))\n"
        "        return out",
        {"image": ("float32", [1, 3, 224, 224]), "text": ("int64", [1, 128])},
    ),
    "a size that is compared": (
        "def forward(self, x):\n        if x.shape[2] != 72 or x.shape[3] != 72:\n"
        "            raise ValueError('72 pixels')\n        return self.conv(x)",
        {"x": ("float32", [1, 3, 72, 72])},
    ),
    "no input at all": ("def forward(self): return self.fc(self.w.new_ones(2, 10))", {}),
}


def inputs_of(body: dict[str, Any]) -> dict[str, tuple[str, list[int]]]:
    return {row["name"]: (row["dtype"], row["shape"]) for row in body["inputs"]}


@pytest.mark.parametrize("name", FORWARDS)
def test_each_input_is_what_its_layers_take(run: Run, write: Write, name: str):
    text, expected = FORWARDS[name]
    path = write("net.py", f"{PREAMBLE}\nclass Net(Base):\n    {text}\n")
    result = run("summary", f"{path}:Net", "--format", "json")
    assert result.code == 0, result.err
    assert result.json["error"] is None
    assert inputs_of(result.json) == expected


# What the constructor remembers, and the shape that follows from it.
REMEMBERED = {
    "self.img_size = 96": [1, 3, 96, 96],
    "self.image_size = (64, 48)": [1, 3, 64, 48],
    "self.config = dict(image_size=80)": [1, 3, 80, 80],
    "self.input_shape = (3, 40, 44)": [1, 3, 40, 44],
    "self.input_size = 3": [1, 3, 224, 224],
    "pass": [1, 3, 224, 224],
}


@pytest.mark.parametrize("line", REMEMBERED)
def test_a_size_that_the_model_remembers_comes_first(run: Run, write: Write, line: str):
    path = write(
        "net.py",
        f"{PREAMBLE}\nclass Net(Base):\n    def __init__(self):\n        super().__init__()\n"
        f"        {line}\n    def forward(self, x): return self.conv(x)\n",
    )
    body = run("summary", f"{path}:Net", "--format", "json").json
    assert body["inputs"][0]["shape"] == REMEMBERED[line]


@pytest.mark.parametrize(
    ("line", "length"),
    [
        ("self.max_len = 5000", 128),
        ("self.max_len = 50", 50),
        ("self.sequence_length = 24", 24),
        ("self.position = nn.Embedding(32, 8)", 32),
        ("self.pos_emb = nn.Parameter(torch.zeros(1, 20, 8))", 20),
    ],
)
def test_a_sequence_is_no_longer_than_its_positions(run: Run, write: Write, line: str, length: int):
    path = write(
        "net.py",
        f"{PREAMBLE}\nclass Net(Base):\n    def __init__(self):\n        super().__init__()\n"
        f"        {line}\n    def forward(self, ids): return self.embed(ids)\n",
    )
    body = run("summary", f"{path}:Net", "--format", "json").json
    assert body["inputs"][0]["shape"] == [1, length]


def test_what_was_guessed_is_said_with_its_certainty_and_the_flag(run: Run, write: Write):
    path = write(
        "net.py",
        PREAMBLE
        + """
class Net(Base):
    def forward(self, image, meta): return self.conv(image).mean((2, 3)) + self.fc(meta)
class Narrow(Base):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8 * 10 * 10, 2)
    def forward(self, image): return self.head(self.conv(image).flatten(1))
""",
    )
    note = " ".join(run("summary", f"{path}:Net").out.split())
    assert "image 1x3x224x224 is a guess: conv (Conv2d) takes 3 channels, 224x224 a common" in note
    assert "meta 1x10 is certain: fc (Linear) takes 10 features" in note
    assert "(--input image:SHAPE changes it)" in note
    small = run("summary", f"{path}:Narrow", "--format", "json").json
    assert small["inputs"][0]["shape"] == [1, 3, 12, 12]
    assert any("12x12" in remark for remark in small["remarks"])


def test_what_is_given_is_completed(run: Run, write: Write):
    path = write(
        "net.py",
        PREAMBLE + "class Net(Base):\n"
        "    def forward(self, ids, lengths):\n"
        "        assert lengths.tolist() == [7, 7], lengths\n"
        "        return self.embed(ids)\n",
    )
    body = run("summary", f"{path}:Net", "--input", "ids:int64:2x7", "--format", "json").json
    assert inputs_of(body) == {"ids": ("int64", [2, 7]), "lengths": ("int64", [2])}


def test_a_text_is_asked_for(run: Run, write: Write):
    path = write(
        "net.py",
        PREAMBLE + "class Net(Base):\n    def forward(self, x, mode: str): return self.fc(x)\n",
    )
    run("summary", f"{path}:Net").assert_error(2, "could be inferred", "--kwarg mode=TEXT")


def test_the_type_of_a_given_input_follows_its_layer(run: Run, write: Write):
    path = write(
        "net.py",
        PREAMBLE + "class Net(Base):\n"
        "    def forward(self, z, feats): return self.embed(z) + self.fc(feats)\n",
    )
    body = run(
        "summary", f"{path}:Net", "--input", "z:5", "--input", "feats:5x10", "--format", "json"
    ).json
    assert inputs_of(body) == {"z": ("int64", [5]), "feats": ("float32", [5, 10])}


def test_ids_are_valid_and_not_all_the_same(run: Run, write: Write):
    path = write(
        "net.py",
        PREAMBLE + "class Net(Base):\n"
        "    def forward(self, ids):\n"
        "        assert 0 <= ids.min() < ids.max() < 20\n"
        "        return self.embed(ids)\n",
    )
    for words in ([], ["--input", "1x16"], ["--input", "ids:int64:1x16"]):
        assert run("summary", f"{path}:Net", *words).code == 0

"""Inputs that meet the layers in ways that packages have: graphs, pairs, joins, shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from modelcli.loading.inference.patterns import before

Write = Callable[[str, str], Path]

PREAMBLE = """
import torch
from torch import nn
from torch.nn import functional as F

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.conv = nn.Linear(10, 8), nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.words, self.places = nn.Embedding(100, 8), nn.Embedding(64, 8)
        self.kinds = nn.ModuleList([nn.Embedding(n, 4) for n in (10, 5, 7)])
        self.norm, self.action_dim = nn.LayerNorm([20, 6]), 4
        self.patch, self.both = nn.Linear(192, 8), nn.Linear(24, 16)
        self.mixer = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
"""

FORWARDS: dict[str, tuple[str, dict[str, tuple[str, list[int]]]]] = {
    "rows of another input": (
        "def forward(self, x, rows):\n"
        "        assert rows.max() < x.shape[0]\n        return self.fc(x)[rows]",
        {"x": ("float32", [1, 10]), "rows": ("int64", [1])},
    ),
    "edges, told by their use": (
        "def forward(self, x, links):\n        h = self.fc(x)\n        src, dst = links\n"
        "        assert links.max() < x.shape[0]\n        return h[src] + h[dst]",
        {"x": ("float32", [16, 10]), "links": ("int64", [2, 32])},
    ),
    "nodes that no layer is asked for": (
        "def forward(self, x, edge_index):\n        if isinstance(x, torch.Tensor): x = (x, x)\n"
        "        assert x[0].dim() == 2 and edge_index.max() < x[0].shape[0]\n"
        "        return self.fc(x[0].index_select(-2, edge_index[0]))",
        {"x": ("float32", [16, 10]), "edge_index": ("int64", [2, 32])},
    ),
    "sizes beside other values": (
        "def forward(self, x):\n        b, n, d, h = *x.shape, 2\n"
        "        return self.fc(x).view(b, n, h, 4)",
        {"x": ("float32", [1, 128, 10])},
    ),
    "joined with what the model makes": (
        "def forward(self, x):\n        b, n, _ = x.shape\n"
        "        return self.fc(torch.cat((x, torch.zeros(b, n, 4)), -1))",
        {"x": ("float32", [1, 128, 6])},
    ),
    "pairs of it": (
        "def forward(self, x):\n        b, n, _ = x.shape\n        far = torch.zeros(b, n, n, 4)\n"
        "        one = x[:, :, None].expand(b, n, n, -1)\n"
        "        return self.fc(torch.cat((one, one.transpose(1, 2), far), -1))",
        {"x": ("float32", [1, 128, 3])},
    ),
    "places of a table, which are fewer than is common": (
        "def forward(self, ids):\n        at = torch.arange(ids.shape[1], device=ids.device)\n"
        "        return self.words(ids) + self.places(at[None].expand_as(ids))",
        {"ids": ("int64", [1, 64])},
    ),
    "columns of ids, each with a table of its own": (
        "def forward(self, cats, x):\n"
        "        found = [kind(cats[:, i]) for i, kind in enumerate(self.kinds)]\n"
        "        return torch.cat(found, 1), self.fc(x)",
        {"cats": ("int64", [1, 3]), "x": ("float32", [1, 10])},
    ),
    "a film, frame by frame": (
        "def forward(self, x):\n        b, t, c, h, w = x.shape\n"
        "        return self.conv(x.reshape(b * t, c, h, w)).view(b, t, 8, -1)",
        {"x": ("float32", [1, 16, 3, 112, 112])},
    ),
    "sentences for an encoder and a decoder": (
        "def forward(self, first, second):\n        n = second.size(1)\n"
        "        mask = self.mixer.generate_square_subsequent_mask(n)\n"
        "        h = self.mixer(self.words(first), self.words(second), tgt_mask=mask)\n"
        "        return h",
        {"first": ("int64", [1, 128]), "second": ("int64", [1, 128])},
    ),
    "patches, which one alone would be too": (
        "def forward(self, x):\n        b, c, h, w = x.shape\n"
        "        y = x.reshape(b, c, h // 8, 8, w // 8, 8).permute(0, 2, 4, 1, 3, 5)\n"
        "        return self.patch(y.reshape(b, -1, c * 64))",
        {"x": ("float32", [1, 3, 224, 224])},
    ),
    "two sequences that attend": (
        "def forward(self, x, context):\n        k, v = self.both(context).chunk(2, -1)\n"
        "        return F.scaled_dot_product_attention(self.fc(x), k, v)",
        {"x": ("float32", [1, 128, 10]), "context": ("float32", [1, 128, 24])},
    ),
    "all of a sample's dimensions": (
        "def forward(self, x):\n        return self.norm(x)",
        {"x": ("float32", [1, 20, 6])},
    ),
    "features that an attribute says": (
        "def forward(self, state, action):\n        return self.fc(torch.cat([state, action], -1))",
        {"state": ("float32", [1, 6]), "action": ("float32", [1, 4])},
    ),
    "a parameter spread over the batch, then another tower": (
        "def forward(self, image=None, feats=None):\n        out = []\n"
        "        if image is not None:\n"
        "            h = self.conv(image).flatten(2).transpose(1, 2)\n"
        "            out.append(torch.cat((self.token.expand(h.shape[0], -1, -1), h), 1))\n"
        "        if feats is not None: out.append(self.fc(feats))\n        return out",
        {"image": ("float32", [1, 3, 224, 224]), "feats": ("float32", [1, 10])},
    ),
}


@pytest.mark.parametrize("name", FORWARDS)
def test_each_input_is_what_the_forward_makes_of_it(run: Run, write: Write, name: str) -> None:
    text, expected = FORWARDS[name]
    path = write("net.py", f"{PREAMBLE}\nclass Net(Base):\n    {text}\n")
    body = _json(run, f"{path}:Net")
    assert {row["name"]: (row["dtype"], row["shape"]) for row in body["inputs"]} == expected


def test_edges_that_are_given_say_how_many_nodes_there_are(run: Run, write: Write) -> None:
    path = write(
        "net.py",
        f"{PREAMBLE}\nclass Net(Base):\n    def forward(self, x, edge_index):\n"
        "        return self.fc(x)[edge_index[0]]\n",
    )
    body = _json(run, f"{path}:Net", "--input", "edge_index=[[0,39],[1,2]]")
    assert [row["shape"] for row in body["inputs"] if row["name"] == "x"] == [[40, 10]]


PATCHES = "b c (h p1) (w p2) -> b (h w) (p1 p2 c)"


@pytest.mark.parametrize(
    ("pattern", "lengths", "after", "expected"),
    [
        (PATCHES, {"p1": 16, "p2": 16}, ("B", "L", 768), [("B", 3, "H", "W")]),
        (PATCHES, {"p1": 16, "p2": 16}, ("B", "L", 100), None),
        (PATCHES, {"p1": 16, "p2": 16}, ("B", 768), None),
        ("b n (h d) -> b h n d", {"h": 4}, ("B", 4, "L", 8), [("B", "L", 32)]),
        ("b d h w -> b d", {}, ("B", 64), [("B", 64, "H", "W")]),
        ("b c t -> b t c", {}, ("B", "L", 80), [("B", 80, "L")]),
        ("b ... c -> b (...) c", {}, ("B", "L", 80), None),
    ],
)
def test_a_pattern_of_einops_is_turned_round(
    pattern: str, lengths: dict[str, int], after: Any, expected: Any
) -> None:
    assert before(after, pattern, lengths) == expected


def test_a_call_of_einops_is_an_image_in_patches(run: Run, write: Write) -> None:
    write("einops/__init__.py", "from einops.einops import einsum, rearrange\n")
    write("einops/einops.py", EINOPS)
    path = write(
        "net.py",
        f"{PREAMBLE}\nfrom einops import einsum, rearrange\nclass Net(Base):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.embed = nn.Linear(12, 8)\n    def forward(self, x):\n"
        f"        return self.embed(rearrange(x, '{PATCHES}', p1=2, p2=2))\n"
        "class Product(Base):\n    def forward(self, x):\n"
        "        return einsum(x, self.fc.weight, 'bnd,ed->bne')\n",
    )
    assert _json(run, f"{path}:Product")["inputs"][0]["shape"] == [1, 128, 10]
    assert _json(run, f"{path}:Net")["inputs"][0]["shape"] == [1, 3, 224, 224]


# As much of the package as that forward needs, with its refusal of what is no tensor.
EINOPS = """
import torch

def rearrange(tensor, pattern, **lengths):
    return reduce(tensor, pattern, "rearrange", **lengths)

def get_backend(tensor):
    if not isinstance(tensor, torch.Tensor):
        raise RuntimeError("tensor type unknown to einops")
    return torch

def einsum(a, b, pattern):
    return get_backend(a).einsum(pattern, a, b)

def reduce(tensor, pattern, reduction, p1, p2):
    get_backend(tensor)
    b, c, h, w = tensor.shape
    cut = tensor.reshape(b, c, h // p1, p1, w // p2, p2).permute(0, 2, 4, 3, 5, 1)
    return cut.reshape(b, (h // p1) * (w // p2), p1 * p2 * c)
"""


def test_a_class_that_is_called_as_one_of_torch_is_no_such_layer(run: Run, write: Write) -> None:
    path = write(
        "net.py",
        f"{PREAMBLE}\nclass LayerNorm(nn.Module):\n    def forward(self, x): return x\n"
        "class Net(Base):\n    def __init__(self):\n        super().__init__()\n"
        "        self.norm = LayerNorm()\n"
        "    def forward(self, x): return self.conv(self.norm(x) + 0)\n",
    )
    assert _json(run, f"{path}:Net")["inputs"][0]["shape"] == [1, 3, 224, 224]


def test_a_package_that_a_forward_lacks_is_told_by_the_pass(run: Run, write: Write) -> None:
    path = write(
        "net.py",
        f"{PREAMBLE}\nclass Net(Base):\n    def forward(self, a, b):\n"
        "        import no_such_package\n",
    )
    done = run("summary", f"{path}:Net")
    assert done.code == 1
    assert "no_such_package" in done.err


def _json(run: Run, *words: str) -> Any:
    done = run("summary", *words, "--format", "json")
    assert done.code == 0, done.err
    assert done.json["error"] is None
    return done.json

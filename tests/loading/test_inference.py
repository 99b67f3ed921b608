"""Ordinary models of many kinds need no ``--input``; others say what they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run

PREAMBLE = """
import torch
from torch import nn
from torch.nn import functional as F
"""

# Every model in a file of its own, with the shape that must be found and the MACs at it.
MODELS = {
    "mlp": ("class Net(nn.Sequential):\n"
            "    def __init__(self):\n"
            "        super().__init__(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 2))\n",
            (1, 20), 660),
    "flattened image": ("class Net(nn.Sequential):\n"
            "    def __init__(self):\n"
            "        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n",
            None, 7840),
    "grey cnn": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.conv = nn.Conv2d(1, 4, 5)\n"
            "        self.fc = nn.Linear(4 * 12 * 12, 10)\n"
            "    def forward(self, x):\n"
            "        return self.fc(F.max_pool2d(self.conv(x), 2).flatten(1))\n",
            (1, 1, 28, 28), 24 * 24 * 4 * 25 + 5760),
    "cifar cnn": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.conv = nn.Conv2d(3, 6, 5)\n"
            "        self.fc = nn.Linear(6 * 14 * 14, 10)\n"
            "    def forward(self, x):\n"
            "        return self.fc(F.max_pool2d(self.conv(x), 2).flatten(1))\n",
            (1, 3, 32, 32), 28 * 28 * 6 * 75 + 11760),
    "odd size": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.conv = nn.Conv2d(3, 2, 3, padding=1)\n"
            "        self.fc = nn.Linear(2 * 71 * 71, 10)\n"
            "    def forward(self, x):\n"
            "        return self.fc(self.conv(x).flatten(1))\n",
            (1, 3, 71, 71), 71 * 71 * 2 * 27 + 2 * 71 * 71 * 10),
    "fully convolutional": ("class Net(nn.Sequential):\n"
            "    def __init__(self):\n"
            "        super().__init__(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1))\n",
            (1, 3, 224, 224), 222 * 222 * 8 * 27),
    "language model": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.embedding = nn.Embedding(50, 8)\n"
            "        self.lstm = nn.LSTM(8, 16, batch_first=True)\n"
            "        self.head = nn.Linear(16, 50)\n"
            "    def forward(self, ids):\n"
            "        return self.head(self.lstm(self.embedding(ids))[0])\n",
            (1, 128), 128 * (64 * 24 + 800)),
    "encoder of tokens": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.embedding = nn.Embedding(50, 8)\n"
            "        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)\n"
            "        self.encoder = nn.TransformerEncoder(layer, 2)\n"
            "    def forward(self, ids, mask=None):\n"
            "        return self.encoder(self.embedding(ids), src_key_padding_mask=mask)\n",
            (1, 128), 2 * 128 * (8 * 24 + 64 + 256 + 2 * 128 * 8)),
    "sound": ("class Net(nn.Sequential):\n"
            "    def __init__(self):\n"
            "        super().__init__(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 1, 3))\n",
            (1, 2, 16000), 15998 * 24 + 15996 * 12),
    "video": ("class Net(nn.Sequential):\n"
            "    def __init__(self):\n"
            "        super().__init__(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1))\n",
            (1, 3, 16, 112, 112), 14 * 110 * 110 * 4 * 81),
    "recurrent": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.gru = nn.GRU(5, 6, batch_first=True)\n"
            "    def forward(self, x):\n"
            "        return self.gru(x)[0][:, -1]\n",
            (1, 128, 5), 128 * 3 * 6 * 11),
    "two inputs": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.fc = nn.Linear(6, 3)\n"
            "    def forward(self, left, right):\n"
            "        return self.fc(left) - self.fc(right)\n",
            (1, 6), 36),
    "lazy": ("class Net(nn.Sequential):\n"
            "    def __init__(self):\n"
            "        super().__init__(\n"
            "            nn.LazyConv2d(4, 3, stride=2), nn.Flatten(), nn.LazyLinear(2))\n",
            (1, 3, 224, 224), 111 * 111 * 4 * 27 + 4 * 111 * 111 * 2),
    "no layers": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.scale = nn.Parameter(torch.ones(()))\n"
            "    def forward(self, x):\n"
            "        return x * self.scale\n",
            None, 0),
    "own convention": ("class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.fc = nn.Linear(6, 3)\n"
            "    def forward(self, batch):\n"
            "        return self.fc(batch['x'])\n"
            "    def example_inputs(self):\n"
            "        return ({'x': torch.zeros(2, 6)},)\n",
            (2, 6), 36),
    "lightning's convention": ("class Net(nn.Sequential):\n"
            "    def __init__(self):\n"
            "        super().__init__(nn.Linear(6, 3))\n"
            "        self.example_input_array = torch.zeros(7, 6)\n",
            (7, 6), 126),
}  # fmt: skip
Write = Callable[[str, str], Path]


@pytest.mark.parametrize("name", MODELS)
def test_no_input_is_needed(run: Run, write: Write, name: str):
    text, shape, macs = MODELS[name]
    path = write("net.py", PREAMBLE + text)
    result = run("summary", f"{path}:Net", "--format", "json")
    assert result.code == 0, result.err
    body = result.json
    assert body["error"] is None
    assert body["totals"]["macs"] == macs
    if shape is not None:
        assert tuple(body["inputs"][0]["shape"]) == shape
    assert body["inputs"][0]["origin"]


def test_the_origin_is_printed(run: Run, write: Write):
    path = write("net.py", PREAMBLE + MODELS["cifar cnn"][0])
    assert "0: float32 1x3x32x32 (inferred from conv (Conv2d))" in run(
        "summary", f"{path}:Net"
    ).out.replace("x: ", "0: ")


def test_batch_size_goes_with_inference(run: Run, write: Write):
    path = write("net.py", PREAMBLE + MODELS["mlp"][0])
    body = run("summary", f"{path}:Net", "--batch-size", "4", "--format", "json").json
    assert body["inputs"][0]["shape"] == [4, 20]
    assert body["totals"]["macs"] == 4 * 660


def test_what_cannot_be_inferred_is_asked_for(run: Run, write: Write):
    path = write(
        "net.py",
        PREAMBLE + "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(3, 2)\n"
        "    def forward(self, image, table):\n"
        "        return self.fc(image[:, :, 0, 0]) + table['x']\n",
    )
    run("summary", f"{path}:Net").assert_error(
        2, "could be inferred", "--input image:1x... --input table.x:1x..."
    )

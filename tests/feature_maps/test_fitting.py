"""A dense layer that refuses a flattened map says what it takes and which input gives it."""

from __future__ import annotations

from typing import Any

import pytest

Run = Any

LENET = "fc1 takes 400 = 16*5*5 features and got 256 = 16*4*4; an input of 32 x 32 gives 400"


@pytest.mark.parametrize("command", ["summary", "shapes"])
def test_lenet_on_mnist(run: Run, command: str) -> None:
    result = run(command, "lenet", "--input", "1x1x28x28")
    assert result.code == 1
    assert result.err.splitlines()[-1] == f"hint: {LENET}"


def test_a_view_and_a_larger_input(run: Run, tmp_path: Any) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2))\n"
        "        self.head = nn.Linear(8 * 7 * 7, 10)\n"
        "    def forward(self, x):\n"
        "        return self.head(self.body(x).view(x.shape[0], -1))\n"
    )
    result = run("summary", f"{tmp_path}/net.py:Net", "--input", "2x3x64x64")
    assert result.code == 1
    assert result.err.splitlines()[-1] == (
        "hint: head takes 392 = 8*7*7 features and got 2048 = 8*16*16; "
        "an input of 27 x 27 gives 392"
    )
    works = run("summary", f"{tmp_path}/net.py:Net", "--input", "2x3x27x27")
    assert works.code == 0


def test_features_that_no_square_map_gives_name_no_input(run: Run, tmp_path: Any) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(26, 2))\n"
    )
    result = run("summary", f"{tmp_path}/net.py:net", "--input", "1x1x8x8")
    assert result.err.splitlines()[-1] == "hint: 2 takes 26 features and got 144 = 4*6*6"


def test_after_a_failure_the_coverage_says_stopped(run: Run) -> None:
    out = run("summary", "lenet", "--input", "1x1x28x28").out
    assert "stopped, the totals are those of what ran: 2 operations counted" in out
    body = run("summary", "lenet", "--input", "1x1x28x28", "--format", "json").json
    assert body["coverage"]["complete"] is False
    assert body["totals"]["macs"] == 6 * 25 * 24 * 24 + 16 * 150 * 8 * 8


@pytest.mark.parametrize("shape", ["1 1 32 32", "(1,1,32,32)", "(1, 1, 32, 32)", "1,1,32,32"])
def test_shapes_as_people_write_them(run: Run, shape: str) -> None:
    typed = run("shapes", "--input", shape, "conv:6,k5", "--format", "json")
    model = run("shapes", "lenet", "--input", shape, "--format", "json")
    assert typed.json["rows"][0]["output"] == model.json["rows"][0]["output"] == [1, 6, 28, 28]


def test_solve_takes_each_axis_of_a_kernel(run: Run) -> None:
    words = ("shapes", "--solve", "--input", "224", "--output", "112", "conv:k5x3")
    solutions = run(*words, "--format", "json").json["solutions"]
    assert solutions[0]["word"] == "conv:k5x3,s2,p2x1"
    back = run("shapes", "--solve", "--output", "10", "conv:1,k5x3", "--format", "json").json
    assert back["axes"] == [
        {"output": 10, "inputs": [[14, 14]]},
        {"output": 10, "inputs": [[12, 12]]},
    ]

"""``modelcli params`` on models: rows, filters, totals, streams and codes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelcli.cli import main

LENET = {
    "conv1.weight": [6, 1, 5, 5],
    "conv1.bias": [6],
    "conv2.weight": [16, 6, 5, 5],
    "conv2.bias": [16],
    "fc1.weight": [120, 400],
    "fc1.bias": [120],
    "fc2.weight": [84, 120],
    "fc2.bias": [84],
    "fc3.weight": [10, 84],
    "fc3.bias": [10],
}


def read(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["params", *words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["params", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2
    return err


def test_rows_of_a_model(capsys):
    document = read(capsys, "lenet")
    assert document["schema"] == "modelcli.params/1"
    assert {row["name"]: row["shape"] for row in document["rows"]} == LENET
    first = document["rows"][0]
    assert first == {
        "name": "conv1.weight",
        "kind": "parameter",
        "shape": [6, 1, 5, 5],
        "dtype": "float32",
        "numel": 150,
        "stored_numel": 150,
        "bytes": 600,
        "trainable": True,
        "tied_to": None,
    }
    assert document["totals"] == {
        "tensors": 10,
        "params": 61706,
        "trainable_params": 61706,
        "buffers": 0,
        "bytes": 246824,
        "packed_params": 0,
    }


def test_a_shared_layer_is_counted_once(capsys):
    document = read(capsys, "shared")
    assert [row["tied_to"] for row in document["rows"]] == [None] * 4 + ["0.weight", "0.bias"]
    assert document["totals"]["params"] == 7
    assert document["totals"]["bytes"] == 28


def test_a_tie_counts_where_only_its_second_name_is_shown(capsys):
    document = read(capsys, "shared", "--match", "2.*")
    assert document["totals"]["params"] == 3


def test_buffers_on_demand(capsys):
    without = read(capsys, "autoencoder")
    assert {row["kind"] for row in without["rows"]} == {"parameter"}
    assert without["totals"]["buffers"] == 0
    document = read(capsys, "autoencoder", "--buffers")
    buffers = [row for row in document["rows"] if row["kind"] == "buffer"]
    assert {row["name"].rpartition(".")[2] for row in buffers} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    assert document["totals"]["buffers"] == sum(row["numel"] for row in buffers)
    assert document["totals"]["params"] == without["totals"]["params"]


def test_hidden_buffers_are_mentioned(capsys):
    assert main(["params", "autoencoder"]) == 0
    assert "not listed (--buffers)" in capsys.readouterr().out


def test_sorting(capsys):
    by_size = read(capsys, "lenet", "--sort", "numel")["rows"]
    assert [row["name"] for row in by_size[:2]] == ["fc1.weight", "fc2.weight"]
    by_name = read(capsys, "lenet", "--sort", "name")["rows"]
    assert [row["name"] for row in by_name[:2]] == ["conv1.bias", "conv1.weight"]


def test_match_is_a_glob_on_the_whole_name(capsys):
    document = read(capsys, "lenet", "--match", "conv*.bias")
    assert [row["name"] for row in document["rows"]] == ["conv1.bias", "conv2.bias"]
    assert document["totals"]["params"] == 22


def test_table_for_a_pipe(capsys):
    assert main(["params", "mlp"]) == 0
    out = capsys.readouterr().out
    assert out == (
        "name           shape       dtype      count    bytes  trainable\n"
        "hidden.weight  (256, 784)  float32  200,704  802,816  yes\n"
        "hidden.bias    (256,)      float32      256    1,024  yes\n"
        "output.weight  (10, 256)   float32    2,560   10,240  yes\n"
        "output.bias    (10,)       float32       10       40  yes\n"
        "\n"
        "4 tensors, 203,530 parameters, 203,530 trainable, 814.120 kB\n"
    )


def test_tsv_has_the_raw_values(capsys):
    assert main(["params", "mlp", "--format", "tsv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == [
        "name", "kind", "shape", "dtype", "numel", "bytes", "trainable", "tied_to",
    ]  # fmt: skip
    assert lines[1] == "hidden.weight\tparameter\t256x784\tfloat32\t200704\t802816\ttrue\t"
    assert len(lines) == 5


def test_a_model_without_parameters(capsys):
    document = read(capsys, "centered")
    assert document["rows"] == []
    assert document["totals"]["params"] == 0


def test_names_with_spaces(capsys):
    document = read(capsys, "nested-blocks")
    assert document["rows"][0]["name"] == "0.block 0.0.weight"
    assert document["totals"]["params"] == 309


def test_constructor_arguments(capsys):
    assert read(capsys, "mlp", "--set", "hidden_features=512")["totals"]["params"] == 407050


def test_frozen_parameters(capsys, tmp_path):
    source = tmp_path / "net.py"
    source.write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Linear(3, 4), nn.Linear(4, 2))\n"
        "        self[0].requires_grad_(False)\n"
    )
    target = f"{source}:Net"
    assert read(capsys, target)["totals"]["trainable_params"] == 10
    frozen = read(capsys, target, "--frozen")
    assert [row["name"] for row in frozen["rows"]] == ["0.weight", "0.bias"]
    assert frozen["totals"]["params"] == 16
    assert read(capsys, target, "--trainable")["totals"]["params"] == 10


def test_a_pattern_that_matches_nothing(capsys):
    err = refused(capsys, "lenet", "--match", "conv9*")
    assert err.startswith("error: no name matches 'conv9*'\n")


def test_a_pattern_that_matches_buffers_only(capsys):
    err = refused(capsys, "autoencoder", "--match", "*running_mean")
    assert "only buffers match '*running_mean'" in err
    assert "add --buffers" in err


def test_an_unknown_order(capsys):
    err = refused(capsys, "lenet", "--sort", "size")
    assert "'size' is not one of 'name', 'numel'" in err


def test_an_unknown_model(capsys):
    assert "did you mean 'lenet'?" in refused(capsys, "lent")


def test_lazy_layers_get_their_shapes_from_a_pass(capsys, tmp_path):
    source = tmp_path / "net.py"
    source.write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.LazyLinear(5))\n"
        "    def example_inputs(self):\n"
        "        return torch.zeros(2, 7)\n"
    )
    document = read(capsys, f"{source}:Net")
    assert [row["shape"] for row in document["rows"]] == [[5, 7], [5]]
    err = refused(capsys, f"{source}:Net", "--stats")
    assert "lazy layers, which have no values before their first input" in err


@pytest.mark.filterwarnings("ignore")
def test_packed_weights_are_mentioned(capsys, tmp_path):
    source = tmp_path / "net.py"
    source.write_text(
        "import torch\n"
        "from torch import nn\n"
        "def make():\n"
        "    model = nn.Sequential(nn.Linear(10, 10))\n"
        "    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)\n"
    )
    assert read(capsys, f"{source}:make")["totals"]["packed_params"] == 110
    assert main(["params", f"{source}:make"]) == 0
    assert "110 more are packed in quantised layers" in capsys.readouterr().out

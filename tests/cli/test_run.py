"""``modelcli run``: values in, values out, and nothing of the user's changed."""

from __future__ import annotations

import io
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import modelcli


def values_of(result, key, name):
    return next(t["values"] for t in result.json[key] if t["name"] == name)


def test_centered_subtracts_the_mean(run):
    result = run("run", "centered", "--values", "1,2,3,4,5")
    assert result.code == 0
    assert "-2  -1   0   1   2" in result.out
    data = run("run", "centered", "--values", "1,2,3,4,5", "--format", "json")
    assert values_of(data, "outputs", "output") == [[-2.0, -1.0, 0.0, 1.0, 2.0]]


def test_a_dense_layer_gives_the_row_of_its_weight_plus_the_bias(run):
    args = ("run", "linear", "--values", "0,1,0,0", "--print", "w", "--print", "b")
    data = run(*args, "--format", "json")
    w, b = (np.array(values_of(data, "printed", name)) for name in "wb")
    assert w.shape == (4, 3)
    assert np.allclose(values_of(data, "outputs", "output"), w[1] + b)
    assert "w[1]" in run(*args).out


def test_gradients_are_none_then_numbers_then_twice_and_zeroed_again(run):
    options = ("--values", "1,2,3,4", "--loss", "mse", "--target", "0,0,0")
    result = run("run", "linear", *options, "--accumulate", "2")
    assert [line.split()[1] for line in result.out.splitlines() if line.startswith("w[")] == [
        "None"
    ] * 4
    grads = run("run", "linear", *options, "--accumulate", "2", "--format", "json").json["grads"]
    rows = {row["names"][0]: row for row in grads}
    output = np.array(
        values_of(run("run", "linear", *options, "--format", "json"), "outputs", "output")
    )
    expected = np.outer([1, 2, 3, 4], 2 * output[0] / 3)
    assert rows["w"]["before"] is None
    assert np.allclose(rows["w"]["after"]["values"], expected, rtol=1e-5)
    assert np.allclose(rows["w"]["accumulated"]["values"], 2 * expected, rtol=1e-5)
    assert np.allclose(rows["w"]["zeroed"]["values"], expected, rtol=1e-5)


def test_a_step_moves_each_parameter_against_its_gradient_and_writes_it_out(run):
    options = ("--values", "1,2,3,4", "--target", "0,0,0", "--step", "sgd:lr=0.01")
    rows = run("run", "linear", *options, "--format", "json").json["step"]
    for row in rows:
        before, grad, after = (np.array(row[k]["values"]) for k in ("before", "gradient", "after"))
        assert np.allclose(after, before - 0.01 * grad, rtol=1e-5)
        assert " - 0.01 * " in row["arithmetic"]
    assert "step: SGD with lr 0.01" in run("run", "linear", *options).out


@pytest.mark.parametrize("step", ["sgd:lr=0.1,momentum=0.9,nesterov=true", "adam", "adamw:lr=0.1",
                                  "sgd:lr=0.1,weight_decay=0.5"])  # fmt: skip
def test_the_arithmetic_of_a_step_ends_in_what_torch_has(run, step):
    options = ("--values", "1,2,3,4", "--target", "0,0,0", "--step", step)
    for row in run("run", "linear", *options, "--format", "json").json["step"]:
        words, _, end = row["arithmetic"].partition("]")[2].rpartition(" = ")
        worked = eval(words.replace("^", "**"), {"sqrt": np.sqrt})
        assert worked == pytest.approx(float(end), rel=1e-4)


def test_a_shared_layer_has_one_gradient_under_its_names(run):
    result = run("run", "shared", "--values", "1,2", "--target", "1", "--backward")
    rows = [line for line in result.out.splitlines() if "0.weight" in line]
    assert len(rows) == 1
    assert rows[0].startswith("0.weight = 2.weight")


def test_a_convolution_cell_is_worked_out(run):
    result = run("run", "lenet", "--explain", "conv1[0,0,0,0]", "--format", "json")
    explained = result.json["explained"]
    assert explained["value"] == pytest.approx(explained["computed"], rel=1e-5)
    assert "sum of the products" in " ".join(explained["lines"])


def test_the_matrices_of_a_cell_fit_a_terminal_whole(run):
    lines = run("run", "lenet", "--explain", "conv1[0,0,0,0]", "--format", "json").json["explained"]
    assert max(map(len, lines["lines"])) <= 78
    small = run("run", "conv-same", "--explain", "conv[0,0,0,0]").out.splitlines()
    titles = next(line for line in small if line.startswith("input, channel 0"))
    assert titles.split()[-2:] == ["kernel", "product"]


def test_bilinear_weights_are_shown(run):
    cell = "decoder.2[0,0,1,1]"
    result = run("run", "autoencoder", "--values", "rand", "--explain", cell)
    assert result.code == 0
    assert "torch gives" in result.out


def test_layers_have_the_rows_of_summary_with_figures(run):
    rows = run("run", "lenet", "--layers", "--format", "json").json["rows"]
    shown = run("summary", "lenet", "--format", "json").json["rows"]
    assert [row["path"] for row in rows] == [row["path"] for row in shown]
    relu = next(row for row in rows if row["type"] == "relu")
    assert relu["stats"]["min"] == 0.0
    assert 0 < relu["stats"]["zeros"] < 1
    table = run("run", "lenet", "--layers").out
    assert "█" in table
    assert "max_pool2d" in table


def test_the_first_layer_with_infinity_is_named(run, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(2, 2)\n"
        "        self.b = nn.Linear(2, 2)\n\n    def forward(self, x):\n"
        "        return self.b(torch.log(self.a(x) * 0) * 0)\n"
    )
    result = run("run", f"{path}:Net", "--layers", "--values", "1,2")
    assert "NaN or infinity comes first out of 'log' (log)" in result.out


def test_npz_holds_every_value(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "modelcli", "run", "lenet", "--layers", "--format", "npz"],
        capture_output=True,
        check=True,
    )
    held = np.load(io.BytesIO(done.stdout))
    assert held["input"].shape == (1, 1, 32, 32)
    assert held["layer conv2"].shape == (1, 16, 10, 10)
    assert np.array_equal(held["output"], held["layer fc3"])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_values_from_a_file(run, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    array = np.arange(5, dtype=np.float32)
    if suffix == ".npy":
        np.save(path, array)
    elif suffix == ".npz":
        np.savez(path, x=array, other=array + 1)
    else:
        from safetensors.numpy import save_file

        save_file({"one": array}, path)
    result = run("run", "centered", "--values", str(path), "--format", "json")
    assert values_of(result, "outputs", "output") == [[-2.0, -1.0, 0.0, 1.0, 2.0]]


def test_weights_of_a_checkpoint_are_used(run, tmp_path):
    path = tmp_path / "w.safetensors"
    from safetensors.numpy import save_file

    save_file({"w": np.ones((4, 3), np.float32), "b": np.zeros(3, np.float32)}, path)
    result = run("run", "linear", "--values", "1,2,3,4", "--weights", str(path), "--format", "json")
    assert values_of(result, "outputs", "output") == [[10.0, 10.0, 10.0]]
    other = run("run", "mlp", "--weights", str(path))
    other.assert_error(2, "does not fit 'mlp'", "modelcli diff")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--values", "foo"), "--values cannot be 'foo'"),
        (("--values", "[[1,2],[3]]"), "has rows of unequal length"),
        (("--values", "none.npy"), "file 'none.npy' does not exist"),
        (("--values", "1,2,3"), "--values gives 3; without it the input is 1x1x32x32 (default)"),
        (("--explain", "conv1"), "is not PATH[CELL]"),
        (("--explain", "conv1[0,0]"), "is no cell of an output of 1x6x28x28"),
        (("--explain", "conv9[0,0,0,0]"), "'conv9' is no row of 'lenet'"),
        (("--print", "fc9.weight"), "--print 'fc9.weight' is no parameter of 'lenet'"),
        (("--backward",), "the loss 'mse' needs a target"),
        (("--loss", "msee"), "unknown loss 'msee'"),
        (("--values", str(10**30)), "--values cannot be"),
        (("--values", "1e400"), "--values cannot be"),
        (("--device", "gpu"), "there is no device 'gpu'"),
        (("--target", "1,2", "--loss", "mse"), "--target: 2 numbers, and 10 are needed (1x10)"),
        (("--accumulate", "0"), "--accumulate 0 is not possible"),
        (("--target", "randn", "--step", "sgd:lr"), "'lr' is not KEY=VALUE"),
    ],
)
def test_mistakes_are_two_lines(run, args, message):
    result = run("run", "lenet", *args)
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 2
    assert result.code in (1, 2)
    assert result.out == ""


def test_a_users_file_and_the_random_state_are_left_alone(tmp_path, run):
    path = tmp_path / "net.py"
    text = (
        "from torch import nn\n\n\nclass Net(nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(3, 2)\n"
    )
    path.write_text(text)
    torch.manual_seed(7)
    random.seed(7)
    states = torch.get_rng_state(), random.getstate()
    assert run("run", f"{path}:Net", "--target", "randn", "--step", "sgd").code == 0
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert path.read_text() == text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.py"]


def test_in_code_a_model_is_copied_never_touched():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    record = modelcli.run(model, values="[[1,2,3,4],[4,3,2,1]]", target="randn", step="sgd:lr=1",
                          mode="train")  # fmt: skip
    assert record.loss is not None
    assert record.loss.name == "mse"
    assert record.outputs[0].shape == (2, 4)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training


@pytest.mark.parametrize(
    "args",
    [("--values", "1,2,x"), ("--step", "sgd:lr", "--target", "randn"), ("--device", "gpu"),
     ("--backward",), ("--loss", "msee"), ("--explain", "conv1")],
)  # fmt: skip
def test_a_mistake_of_the_command_line_is_told_without_torch(args):
    code = (
        "import sys\nfrom modelcli.cli import main\n"
        f"code = main(['run', 'lenet', *{args!r}])\nprint(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert done.stderr.startswith("error: ")

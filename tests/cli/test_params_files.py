"""``modelcli params`` on checkpoints, and ``--stats``, ``--values``, ``--group``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

BLOCKED = "import sys; sys.modules['torch'] = None; from modelcli.cli import main; sys.exit(main())"


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(
        {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.zeros(3).bfloat16()}, path
    )
    return str(path)


@pytest.mark.parametrize("more", [[], ["--stats"], ["--values", "2"], ["--group", "1"]])
@pytest.mark.parametrize("form", ["table", "json"])
def test_safetensors_need_no_torch(weights, more, form):
    words = ["params", weights, "--format", form, *more]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "a.weight" in done.stdout or "--group" in more
    if form == "json":
        assert json.loads(done.stdout)["torch"] is None


def test_a_list_and_the_help_need_no_numpy(weights):
    blocked = BLOCKED.replace("['torch']", "['numpy']")
    for words in (["--help"], ["params", "--help"], ["params", weights]):
        done = subprocess.run(
            [sys.executable, "-c", blocked, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_rows_of_a_file(run, weights):
    document = run("params", weights, "--format", "json").json
    assert document["rows"][0] == {
        "name": "a.weight",
        "kind": "tensor",
        "shape": [3, 4],
        "dtype": "float32",
        "numel": 12,
        "stored_numel": 12,
        "bytes": 48,
        "trainable": None,
        "tied_to": None,
    }
    assert document["totals"] == {
        "tensors": 2,
        "params": 15,
        "trainable_params": None,
        "buffers": 0,
        "bytes": 54,
    }
    assert document["checkpoint"]["format"] == "safetensors"
    assert document["checkpoint"]["files"] == [weights]


def test_table_of_a_file(run, weights):
    lines = run("params", weights).out.splitlines()
    assert lines[:5] == [
        "name      shape   dtype     count  bytes",
        "a.weight  (3, 4)  float32      12     48",
        "a.bias    (3,)    bfloat16      3      6",
        "",
        "2 tensors, 15 parameters, 54 B",
    ]
    assert lines[-1] == "by dtype: 12 float32, 3 bfloat16"


def test_ties_of_a_file_count_once(run, tmp_path):
    shared = torch.zeros(5)
    torch.save({"model": {"a": shared, "b": shared}, "extra": {"c": shared}}, tmp_path / "w.pt")
    result = run("params", str(tmp_path / "w.pt"), "--format", "json").json
    assert [row["tied_to"] for row in result["rows"]] == [None, "a"]
    assert result["totals"]["params"] == 5
    assert result["checkpoint"]["key"] == "model"
    assert result["checkpoint"]["keys"] == {"model": 2, "extra": 1}
    text = run("params", str(tmp_path / "w.pt")).out
    assert "from the key 'model'; --key chooses another: extra (1 tensor)" in text
    other = run("params", str(tmp_path / "w.pt"), "--key", "extra", "--format", "json").json
    assert [row["name"] for row in other["rows"]] == ["c"]


def test_running_statistics_are_told(run, tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    torch.save(model.state_dict(), tmp_path / "w.pt")
    text = run("params", str(tmp_path / "w.pt")).out
    assert "7 of them are running statistics of batch normalisation" in text


def test_control_characters_in_names_do_no_harm(run, tmp_path):
    save_file({"a\x1b[31m\nb": torch.zeros(2)}, tmp_path / "w.safetensors")
    result = run("params", str(tmp_path / "w.safetensors"), "--format", "tsv")
    assert "\x1b" not in result.out
    assert len(result.out.splitlines()) == 2


def test_stats_of_a_file(run, weights):
    stats = run("params", weights, "--stats", "--format", "json").json["rows"][0]["stats"]
    expected = torch.arange(12.0)
    assert stats["mean"] == 5.5
    assert stats["std"] == pytest.approx(float(expected.std()))
    assert stats["norm"] == pytest.approx(float(expected.norm()))
    assert (stats["min"], stats["max"]) == (0, 11)
    assert stats["zeros"] == pytest.approx(1 / 12)
    assert (stats["nan"], stats["inf"]) == (0, 0)


def test_nan_and_infinity_are_named(run, tmp_path):
    bad = torch.tensor([1.0, float("nan"), float("inf")])
    save_file({"good": torch.ones(2), "bad": bad}, tmp_path / "w.safetensors")
    text = run("params", str(tmp_path / "w.safetensors"), "--stats").out
    assert "NaN or infinity in 1 tensor: bad" in text


def test_stats_of_a_model_beside_theory(run):
    words = ["params", "nest-mlp", "--stats", "--init", "normal:std=0.01", "--format", "json"]
    document = run(*words).json
    rows = {row["name"]: row for row in document["rows"]}
    weight = rows["net.0.weight"]
    assert weight["stats"]["std"] == pytest.approx(0.01, rel=0.1)
    assert weight["theory"]["std"] == 0.01
    assert weight["theory"]["fan_in"] == 20
    assert weight["theory"]["gain"] == pytest.approx(weight["stats"]["std"] * 20**0.5)
    assert weight["theory"]["scheme"] == "normal:std=0.01"
    assert not any(row["theory"]["off"] for row in document["rows"])
    assert rows["net.0.bias"]["stats"]["zeros"] == 1


def test_a_seed_repeats(run):
    words = ["params", "mlp", "--stats", "--format", "json"]
    first, again, other = (run(*words, *more).json["rows"] for more in ([], [], ["--seed", "1"]))
    assert first == again
    assert first != other


def test_values_are_those_that_training_starts_from(run):
    from modelcli.loading.build import build
    from modelcli.loading.find import find_source

    model = build(find_source("mlp"), execution="real", seed=3)
    words = ["params", "mlp", "--values", "hidden.weight[0, :3]", "--seed", "3"]
    (shown,) = run(*words, "--format", "json").json["values"]
    assert shown["values"] == model.hidden.weight[0, :3].tolist()


def test_newcomers_table(run):
    result = run(
        "params", "nest-mlp", "--values", "net.0.weight[0]", "--init", "normal:std=0.01", "--stats"
    )
    lines = result.out.splitlines()
    assert lines[0] == "Statistics"
    assert lines[1].split() == ["name", "mean", "std", "min", "max", "norm", "zeros"]
    assert lines[2].split()[0] == "net.0.weight"
    assert lines[3].split() == ["net.0.bias", "0", "0", "0", "0", "0", "100.0%"]
    assert "Initialisation: measured beside what theory gives" in lines
    assert "Expected: the std that normal:std=0.01 gives on average" in lines
    dies = "a signal all but dies out in net.0.weight, net.2.weight, linear.weight: gain below 0.3"
    assert dies in lines
    last = lines[-1].split()
    assert last[0] == "net.0.weight[0]"
    assert len(last) == 21
    assert max(map(len, lines[:20])) <= 80


def test_a_wrong_spread_is_seen(run, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(64, 64)\n"
        "        nn.init.normal_(self.weight, std=1.0)\n"
    )
    text = run("params", f"{tmp_path / 'net.py'}:Net", "--stats").out
    assert "not as expected, beyond chance: weight" in text
    assert "a signal explodes in weight: gain above 2.5" in text


def test_first_values(run, weights):
    document = run("params", weights, "--values", "2", "--format", "json").json
    assert [(v["name"], v["values"]) for v in document["values"]] == [
        ("a.weight", [0, 1]),
        ("a.bias", [0, 0]),
    ]


@pytest.mark.parametrize(
    ("text", "shape", "values"),
    [
        ("a.weight[1]", [4], [4, 5, 6, 7]),
        ("a.weight[-1, 2]", [], 10),
        ("a.weight[:2, 1:3]", [2, 2], [[1, 2], [5, 6]]),
        ("a.weight[0, ::-1]", [4], [3, 2, 1, 0]),
        ("a.bias", [3], [0, 0, 0]),
    ],
)
def test_parts(run, weights, text, shape, values):
    (shown,) = run("params", weights, "--values", text, "--format", "json").json["values"]
    assert (shown["shape"], shown["values"]) == (shape, values)


def test_values_as_tsv(run, weights):
    result = run("params", weights, "--values", "a.weight[:2]", "--format", "tsv")
    assert result.out.splitlines() == [
        "name\tvalues",
        "a.weight[:2][0]\t0.0,1.0,2.0,3.0",
        "a.weight[:2][1]\t4.0,5.0,6.0,7.0",
    ]


def test_groups(run):
    document = run("params", "lenet", "--group", "1", "--format", "json").json
    groups = document["groups"]
    assert [g["prefix"] for g in groups] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert [g["numel"] for g in groups] == [156, 2416, 48120, 10164, 850]
    assert sum(g["share"] for g in groups) == pytest.approx(1)
    assert sum(g["numel"] for g in groups) == document["totals"]["params"]
    lines = run("params", "lenet", "--group", "1").out.splitlines()
    assert lines[3] == "fc1           2  48,120  192.480 kB  78.0%  ████████████████"


def test_groups_of_a_shared_layer_count_it_once(run):
    groups = run("params", "shared", "--group", "1", "--format", "json").json["groups"]
    assert [(g["prefix"], g["numel"]) for g in groups] == [("0", 3), ("1", 4)]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["lenet", "--init", "normal"], "--init changes only values", "add --stats"),
        (["lenet", "--device", "cpu"], "--device changes only values", "add --stats"),
        (["lenet", "--stats", "--init", "norml"], "'norml' is no scheme", "did you mean 'normal'"),
        (["lenet", "--stats", "--init", "cnv*=normal"], "no layer fits 'cnv*'", ""),
        (["lenet", "--group", "0"], "--group 0 is not possible", "1 or more"),
        (["lenet", "--group", "1", "--stats"], "--group sums tensors", "leave one out"),
        (["lenet", "--values", "0"], "--values 0 shows nothing", "1 or more"),
        (["lenet", "--values", "fc9.weight[0]"], "no tensor 'fc9.weight'", "did you mean"),
        (["lenet", "--values", "fc1.weight[120]"], "out of range", "indices count from 0"),
        (["lenet", "--values", "fc1.weight[0,0,0]"], "has the shape (120, 400)", ""),
        (["lenet", "--values", "fc1.weight[1.5]"], "no tensor 'fc1.weight[1.5]'", ""),
        (["lenet", "--values", "fc1.weight[::0]"], "has a step of 0", ""),
        (["lenet", "--key", "model"], "--key is for a checkpoint", "leave it out"),
        (["FILE", "--stats", "--init", "normal"], "--init is for a model", "leave it out"),
        (["FILE", "--set", "a=1"], "--set is for a model", "leave it out"),
        (["FILE", "--trainable"], "--trainable and --frozen need a model", ""),
        (["FILE", "--key", "model"], "no nested dictionaries", ""),
        (["FILE", "--match", "b.*"], "no name matches 'b.*'", ""),
        (
            ["FILE", "--stats", "--values", "1", "--format", "tsv"],
            "--format tsv is one table",
            "json",
        ),
    ],
)
def test_what_is_refused(run, weights, words, message, hint):
    words = [weights if word == "FILE" else word for word in words]
    run("params", *words).assert_error(2, message, hint)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_here(run):
    run("params", "lenet", "--stats", "--device", "cuda").assert_error(3, "'cuda'")


def test_a_model_too_large_to_build_unasked(run, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Linear(60000, 60000))\n"
    )
    target = f"{tmp_path / 'net.py'}:Net"
    assert run("params", target, "--format", "json").json["totals"]["params"] == 3_600_060_000
    run("params", target, "--stats").assert_error(2, "more than 2 GB", "--allow-real")


@pytest.mark.parametrize(
    ("held", "words"), [(3, "an int"), ({}, "an empty dict"), (0.5, "a float")]
)
def test_what_is_no_checkpoint_is_named(run, tmp_path, held, words):
    torch.save(held, tmp_path / "x.pt")
    run("params", f"{tmp_path}/x.pt").assert_error(
        2, "there is no tensor in", f"it holds {words}: this is not a checkpoint"
    )


def test_brackets_of_a_pattern_also_stand_for_themselves(run, tmp_path):
    names = ["[n, 28].weight", "[n, 28].bias", "n.weight", "w.weight"]
    torch.save({name: torch.ones(2) for name in names}, tmp_path / "x.pt")
    words = ("params", f"{tmp_path}/x.pt", "--format", "tsv", "--match")
    assert [line.split("\t")[0] for line in run(*words, "[n, 28]*").out.splitlines()[1:]] == [
        "[n, 28].weight",
        "[n, 28].bias",
        "n.weight",
    ]
    assert run(*words, "[n, 28].bias").out.splitlines()[1].startswith("[n, 28].bias\t")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_length_that_weight_norm_keeps_is_not_judged(run, write):
    path = write(
        "normed.py",
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.utils.weight_norm(nn.Linear(100, 50)))\n",
    )
    result = run("params", f"{path}:net", "--stats")
    assert result.code == 0
    assert "0.weight_v" in result.out
    assert "dies out" not in result.out
    assert "explodes" not in result.out


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ("all", ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]),
        ("*.bias", ["hidden.bias", "output.bias"]),
        ("*.weight[0, :2]", ["hidden.weight[0, :2]", "output.weight[0, :2]"]),
    ],
)
def test_values_of_all_or_of_a_pattern(run, asked, labels):
    done = run("params", "mlp", "--values", asked, "--format", "json").json["values"]
    assert [part["label"] for part in done] == labels
    assert [part["name"] for part in done] == [label.split("[")[0] for label in labels]
    if "[" in asked:
        assert [part["shape"] for part in done] == [[2], [2]]


def test_a_pattern_that_fits_nothing_is_a_name_that_is_not_there(run):
    run("params", "mlp", "--values", "x*").assert_error(2, "there is no tensor 'x*'")


def test_a_model_without_parameters_says_why(run):
    result = run("params", "sequential-list")
    assert "not registered: 'modelcli check sequential-list' looks for it" in result.out
    assert "not registered" not in run("params", "lenet").out

"""``modelcli diff`` on what people bring: wrapped, compiled, renamed and resized checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelcli.models.lenet import LeNet
from modelcli.tensors.key_map import apply_key_map


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Checkpoints of one LeNet, spoilt in the common ways."""
    folder = tmp_path_factory.mktemp("diff")
    torch.manual_seed(0)
    model = LeNet()
    state = model.state_dict()
    head = {"fc3.weight": torch.randn(100, 84), "fc3.bias": torch.randn(100)}
    saved = {
        "same": state,
        "dp": nn.DataParallel(model).state_dict(),
        "compiled": torch.compile(model).state_dict(),
        "head": {**state, **head},
        "renamed": {n.replace("fc1", "dense").replace("fc2", "mid"): t for n, t in state.items()},
        "transposed": {n: t.t().contiguous() if t.dim() == 2 else t for n, t in state.items()},
        "half": {n: t.half() for n, t in state.items()},
        "lightning": {"state_dict": {f"model.{n}": t for n, t in state.items()}, "epoch": 3},
    }
    for name, content in saved.items():
        torch.save(content, folder / f"{name}.pt")
    save_file(state, folder / "same.safetensors")
    return folder


def test_the_same_exits_0(run, folder):
    result = run("diff", "lenet", str(folder / "same.pt"), "--format", "json")
    assert result.code == 0
    assert result.json["schema"] == "modelcli.diff/1"
    assert result.json["same"] is True
    assert result.json["hint"] is None
    assert result.json["totals"] == {"a": 10, "b": 10, "same": 10, "changed": 0, "renamed": 0}


def test_safetensors_and_pickle_hold_the_same(run, folder):
    words = ["diff", str(folder / "same.pt"), str(folder / "same.safetensors"), "--values"]
    result = run(*words)
    assert result.code == 0
    assert "the same: 10 tensors" in result.out


@pytest.mark.parametrize(
    ("name", "cause", "said"),
    [
        ("dp", "wrapper", "10 names of B have 'module.' in them, from torch.nn.DataParallel"),
        ("compiled", "wrapper", "10 names of B have '_orig_mod.' in them, from torch.compile"),
        ("head", "head", "the head 'fc3' has 10 outputs in A and 100 in B"),
        ("renamed", "renamed", "dense is fc1 (only one of its shape, confidence 95%)"),
        ("transposed", "transposed", "3 weights are transposed, as fc1.weight"),
        ("lightning", "prefix", "10 names of B have the prefix 'model.'"),
        ("half", "dtype", "10 tensors are float32 in A and float16 in B"),
    ],
)
def test_cause_and_a_map_that_loads_strictly(run, folder, tmp_path, name, cause, said):
    path, written = str(folder / f"{name}.pt"), tmp_path / "map.json"
    result = run("diff", "lenet", path, "--format", "json", "--emit-map", str(written))
    assert result.code == 1
    assert result.json["same"] is False
    assert [hint["cause"] for hint in result.json["hints"]] == [cause]
    assert said in result.json["hint"]

    document = json.loads(written.read_text())
    assert document["schema"] == "modelcli.key-map/1"
    content = torch.load(path)
    for key in filter(None, document["key"].split(".")):
        content = content[key]
    torch.manual_seed(9)
    model, original = LeNet(), torch.load(folder / "same.pt")
    new = model.state_dict()
    new.update(apply_key_map(content, document))
    model.load_state_dict(new, strict=True)
    loaded = [n for n in original if n not in document["keep"]]
    assert document["keep"] == (["fc3.weight", "fc3.bias"] if name == "head" else [])
    for n in loaded:
        assert torch.allclose(model.state_dict()[n], original[n], atol=1e-3), n


def test_the_usage_line_of_the_map_works(run, folder, tmp_path):
    written = tmp_path / "map.json"
    run("diff", "lenet", str(folder / "transposed.pt"), "--emit-map", str(written))
    model, state = LeNet(), torch.load(folder / "transposed.pt")
    usage = json.loads(written.read_text())["usage"].replace("FILE", repr(str(written)))
    exec(usage, {"json": json, "model": model, "state": state})
    assert torch.equal(model.fc1.weight, torch.load(folder / "same.pt")["fc1.weight"])


def test_the_map_leads_into_the_model_whichever_side_it_is_on(run, folder, tmp_path):
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    run("diff", "lenet", str(folder / "dp.pt"), "--emit-map", str(first))
    run("diff", str(folder / "dp.pt"), "lenet", "--emit-map", str(second))
    assert json.loads(first.read_text()) == json.loads(second.read_text())


def test_rows(run, folder):
    result = run("diff", "lenet", str(folder / "head.pt"))
    assert result.code == 1
    path = folder / "head.pt"
    width = len(str(path))
    assert result.out.splitlines()[:9] == [
        f"   {'target'.ljust(width)}  tensors  elements",
        f"A  {'lenet'.ljust(width)}       10    61,706",
        f"B  {path}       10    69,356",
        "",
        "change  name in A   A         B",
        "shape   fc3.weight  (10, 84)  (100, 84)",
        "shape   fc3.bias    (10,)     (100,)",
        "",
        "8 the same, 2 changed",
    ]


def test_only_on_one_side(run, folder, tmp_path):
    state = torch.load(folder / "same.pt")
    del state["fc1.bias"]
    state["spare.weight"] = torch.zeros(7, 7)
    torch.save(state, tmp_path / "w.pt")
    result = run("diff", "lenet", str(tmp_path / "w.pt"), "--format", "json")
    assert result.json["only_a"] == ["fc1.bias"]
    assert result.json["only_b"] == ["spare.weight"]
    assert result.code == 1


def test_values(run, folder, tmp_path):
    state = torch.load(folder / "same.pt")
    state["fc1.bias"][3] += 0.5
    torch.save(state, tmp_path / "w.pt")
    paths = str(folder / "same.pt"), str(tmp_path / "w.pt")
    assert run("diff", *paths).code == 0
    result = run("diff", *paths, "--values", "--format", "json")
    assert result.code == 1
    (changed,) = result.json["changed"]
    assert (changed["name"], changed["what"], changed["differing"]) == ("fc1.bias", ["values"], 1)
    assert changed["max_abs"] == pytest.approx(0.5)
    assert "the values of 1 of 10 tensors differ" in result.json["hint"]


def test_values_of_a_model_depend_on_the_seed_alone(run):
    assert run("diff", "mlp", "mlp", "--values").code == 0


def test_every_row_of_a_prefix_on_demand(run, folder):
    words = ["diff", "lenet", str(folder / "dp.pt")]
    assert "module.conv1.weight" not in run(*words).out
    assert "module.conv1.weight" in run(*words, "-v").out
    lines = run(*words, "--format", "tsv").out.splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("change\tname_a\tname_b\tshape_a\tdtype_a")
    assert lines[1].startswith("renamed\tconv1.weight\tmodule.conv1.weight\t6x1x5x5\tfloat32")


def test_two_models(run):
    result = run("diff", "mlp", "mlp", "--set", "hidden_features=256")
    assert result.code == 0
    assert run("diff", "mlp", "nest-mlp").code == 1


def test_tied_weight_that_is_not_in_the_file(run, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.wte, self.lm_head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)\n"
        "        self.lm_head.weight = self.wte.weight\n"
    )
    save_file({"wte.weight": torch.zeros(9, 4)}, tmp_path / "w.safetensors")
    target, path = f"{tmp_path / 'net.py'}:Net", str(tmp_path / "w.safetensors")
    result = run("diff", target, path, "--emit-map", str(tmp_path / "m.json"), "--format", "json")
    assert result.code == 1
    assert result.json["only_a"] == ["lm_head.weight"]
    assert "lm_head.weight is tied to wte.weight in A and not in B" in result.json["hint"]
    assert json.loads((tmp_path / "m.json").read_text())["map"] == {
        "wte.weight": "wte.weight",
        "lm_head.weight": "wte.weight",
    }


def test_unsaved_buffers_are_no_difference(run, tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(2, 2)\n"
        "        self.register_buffer('mask', torch.ones(3), persistent=False)\n"
    )
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pt")
    assert run("diff", f"{tmp_path / 'net.py'}:Net", str(tmp_path / "w.pt")).code == 0


def test_keys_of_both_sides(run, tmp_path):
    torch.save({"model": {"w": torch.zeros(2)}, "ema": {"w": torch.ones(2)}}, tmp_path / "w.pt")
    path = str(tmp_path / "w.pt")
    assert run("diff", path, path, "--values", "--key", "ema").code == 0
    assert run("diff", path, path, "--values", "--key", "ema", "--key", "model").code == 1
    assert run("diff", path, path, "--key", "ema", "--key", "model").code == 0


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["lenet", "lenet", "--key", "model"], "--key is for a checkpoint", "leave it out"),
        (["lenet", "FILE", "--seed", "3"], "--seed changes only values", "--values"),
        (["FILE", "FILE", "--set", "a=1"], "--set is for a model", "leave it out"),
        (["FILE", "FILE", "--key", "a", "--key", "b", "--key", "c"], "--key was given 3 times", ""),
        (["lenet", "FILE", "--key", "nope"], "has no key 'nope'", ""),
        (["lenet", "none.pt"], "'none.pt' does not exist", ""),
        (["lent", "FILE"], "unknown model 'lent'", "did you mean 'lenet'"),
    ],
)
def test_what_is_refused(run, folder, words, message, hint):
    path = str(folder / "same.pt")
    run("diff", *(path if word == "FILE" else word for word in words)).assert_error(
        2, message, hint
    )


def test_a_map_that_cannot_be_written(run, folder, tmp_path):
    missing = str(tmp_path / "no" / "map.json")
    result = run("diff", "lenet", str(folder / "dp.pt"), "--emit-map", missing)
    assert result.code == 2
    assert f"cannot write '{missing}': no such file or directory" in result.err


BN = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@pytest.mark.parametrize(("missing", "told"), [(BN[-1:], True), (BN, False)])
def test_a_missing_counter_is_old_torch_and_a_missing_layer_is_not(run, tmp_path, missing, told):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    state = model.state_dict()
    torch.save(state, tmp_path / "a.pt")
    kept = {n: t for n, t in state.items() if n not in [f"1.{leaf}" for leaf in missing]}
    torch.save(kept, tmp_path / "b.pt")
    result = run("diff", f"{tmp_path}/a.pt", f"{tmp_path}/b.pt", "--format", "json")
    assert result.code == 1
    assert result.json["only_a"] == [f"1.{leaf}" for leaf in missing]
    assert any("before 0.4.1" in hint["text"] for hint in result.json["hints"]) is told


def test_a_map_that_cannot_be_written_is_refused_before_the_table(run, folder):
    path = folder / "nowhere" / "map.json"
    result = run("diff", f"{folder}/same.pt", f"{folder}/renamed.pt", "--emit-map", str(path))
    result.assert_error(2, f"cannot write '{path}'", "name a file in a folder that exists")


def test_nan_against_a_number_is_counted_and_told(run, tmp_path):
    torch.save({"w": torch.ones(4)}, tmp_path / "a.pt")
    torch.save({"w": torch.tensor([1.0, float("nan"), 1.0, 1.0])}, tmp_path / "b.pt")
    words = ("diff", f"{tmp_path}/a.pt", f"{tmp_path}/b.pt", "--values")
    (changed,) = run(*words, "--format", "json").json["changed"]
    assert (changed["differing"], changed["nan_a"], changed["nan_b"]) == (1, 0, 1)
    assert "1 NaN in B: w" in run(*words).out

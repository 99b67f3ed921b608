"""``modelcli time`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import modelcli
from modelcli.errors import UsageError
from modelcli.machine.record import Ceilings
from modelcli.timing import measure, subject

QUICK = ("--device", "cpu", "--runs", "3", "--warmup", "2")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is known, so that no test waits for its measurement."""
    ceilings = Ceilings(
        product_flops_per_s=1e12,
        product_size=512,
        product_dtype="float32",
        copy_bytes_per_s=1e10,
        cache_bytes_per_s=1e11,
        cache_bytes=2**25,
        layer_s=1e-6,
        function_s=1e-7,
    )
    monkeypatch.setattr(measure, "measure_ceilings", lambda *_args: ceilings)
    monkeypatch.setattr(measure, "measure_product", lambda *_args: (1e12, 512))


def test_json_has_the_keys_that_programs_read(run: Any) -> None:
    found = run("time", "lenet", *QUICK, "--format", "json").json
    assert found["schema"] == "modelcli.time/1"
    assert {
        "device", "dtype", "batch_size", "threads", "engine", "latency_s", "samples_per_s",
        "flops_per_s", "roofline_flops_per_s", "bandwidth_bytes_per_s", "rows", "unattributed_s",
    } <= found.keys()  # fmt: skip
    assert (found["device"], found["dtype"], found["engine"]) == ("cpu", "float32", "eager")
    latency = found["latency_s"]
    assert 0 < latency["p10"] <= latency["median"] <= latency["p90"]
    assert latency["runs"] == 3
    assert found["batch_size"] == 1
    assert found["flops"] == 833_040
    assert found["flops_per_s"] == pytest.approx(833_040 / latency["median"])
    assert found["samples_per_s"] == pytest.approx(1 / latency["median"])
    assert found["warm_up"]["passes"] == 2
    assert found["gradients"] == "inference_mode"


def test_each_batch_size_is_a_row(run: Any) -> None:
    found = run("time", "lenet", *QUICK, "--batch-size", "1,4,2,4", "--format", "json").json
    assert [each["batch_size"] for each in found["batches"]] == [1, 4, 2]
    assert [each["flops"] for each in found["batches"]] == [833_040, 3_332_160, 1_666_080]
    assert found["batch_size"] == 1
    table = run("time", "lenet", *QUICK, "--batch-size", "1,4")
    assert [line.split()[0] for line in table.out.splitlines()[1:3]] == ["1", "4"]


def test_what_was_used_is_printed(run: Any) -> None:
    out = run("time", "lenet", *QUICK, "--threads", "1").out
    assert "cpu, float32, 1 thread, eager, eval mode, inference_mode" in out
    assert "0: float32 1x1x32x32 (default)" in out
    assert "too few to tell whether it settled" in out
    assert "1.000 TFLOP/s in a float32 product of 512 x 512" in out
    assert "p10 and p90 are of 3 passes only" in out


def test_another_dtype_is_that_of_weights_and_inputs(run: Any) -> None:
    found = run("time", "lenet", *QUICK, "--dtype", "bfloat16", "--format", "json").json
    assert found["dtype"] == "bfloat16"
    assert found["inputs"][0]["dtype"] == "bfloat16"


def test_mixed_precision_leaves_the_inputs(run: Any) -> None:
    found = run("time", "lenet", *QUICK, "--amp", "bf16", "--format", "json").json
    assert found["dtype"] == "amp bf16"
    assert found["inputs"][0]["dtype"] == "float32"


def test_threads_are_those_asked_for_and_put_back(run: Any) -> None:
    before = torch.get_num_threads()
    found = run("time", "mlp", *QUICK, "--threads", "2", "--format", "json").json
    assert found["threads"] == 2
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--batch-size", "1,x"), "--batch-size '1,x'", "1,8,64"),
        (("--batch-size", "0"), "--batch-size '0'", "from 1"),
        (("--engine", "egaer"), "not 'egaer'", "did you mean 'eager'"),
        (("--engine", "graph", "--device", "cpu"), "--engine graph", "--engine eager"),
        (("--runs", "0"), "--runs 0", "1 or more"),
        (("--threads", "0"), "--threads 0", "1 or more"),
        (("--dtype", "float33"), "not 'float33'", "float32"),
        (("--amp", "bf17"), "not 'bf17'", "bf16"),
        (("--device", "gpu"), "there is no device 'gpu'", "cuda"),
        (("--amp", "fp16", "--device", "cpu"), "--amp fp16", "bf16"),
    ],
)
def test_mistakes(run: Any, words: tuple[str, ...], message: str, hint: str) -> None:
    run("time", "lenet", *words).assert_error(2, message, hint)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_device_that_is_not_here_ends_with_3(run: Any) -> None:
    run("time", "lenet", "--device", "cuda").assert_error(3, "'cuda' is not available", "cpu")


def test_a_forward_that_raises_is_told(run: Any, write: Any) -> None:
    path = write(
        "net.py",
        "from torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def forward(self, x):\n        raise ValueError('never')\n",
    )
    result = run("time", f"{path}:Net", "--input", "1x2", *QUICK, "-q")
    result.assert_error(1, "ValueError: never", "modelcli summary")


class NeedsGradients(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone().requires_grad_(True)
        energy = self.layer(x).square().sum()
        return torch.autograd.grad(energy, x)[0]


def test_a_forward_that_needs_gradients_gets_them() -> None:
    found = modelcli.time(NeedsGradients(), (2, 3), runs=2, warmup=1)
    assert found.record.gradients == "on"
    assert "gradients on" in str(found)


def test_in_code_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    inputs = torch.rand(8, 4)
    state = torch.random.get_rng_state()
    found = modelcli.time(model, inputs, runs=3, warmup=1)
    assert found.latency.median_s > 0
    assert found.batches[0].batch_size == 8
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert found.to_dict()["latency_s"]["runs"] == 3


def test_by_layer_the_rows_and_the_rest_are_the_whole(run: Any) -> None:
    found = run("time", "lenet", *QUICK, "--by", "layer", "--format", "json").json
    rows = found["rows"]
    assert {
        "path", "type", "calls", "time_s", "share", "flops_per_s", "intensity", "bound"
    } <= rows[0].keys()  # fmt: skip
    assert [row["path"] for row in rows[:3]] == ["conv1", "relu", "max_pool2d"]
    assert rows[-1]["type"] == "between layers"
    median = found["latency_s"]["median"]
    together = sum(row["time_s"] for row in rows) + found["unattributed_s"]
    assert together == pytest.approx(median, rel=1e-9)
    assert sum(row["flops"] or 0 for row in rows) == 833_040
    conv = rows[0]
    assert conv["flops_per_s"] == pytest.approx(conv["flops"] / conv["time_s"])
    assert conv["moved_bytes"] == 4 * (32 * 32 + 156 + 6 * 28 * 28)
    assert conv["intensity"] == pytest.approx(conv["flops"] / conv["moved_bytes"])
    assert sum(row["moved_bytes"] or 0 for row in rows) == found["moved_bytes"]


def test_the_difference_is_a_row_of_the_table(run: Any) -> None:
    out = run("time", "lenet", *QUICK, "--by", "layer").out
    lines = out.split("\n\n")[0].splitlines()
    assert lines[1].split()[:2] == ["layer", "type"]
    assert lines[-2].startswith("between layers")
    assert lines[-1].startswith("whole less parts")
    assert "is taken off" in out


def test_by_type_each_type_is_a_row(run: Any) -> None:
    found = run("time", "lenet", *QUICK, "--by", "type", "--format", "json").json
    rows = {row["path"]: row for row in found["rows"]}
    assert rows["Linear"]["calls"] == 3
    assert rows["relu"]["calls"] == 4
    assert rows["Conv2d"]["flops"] == 715_200


def test_depth_folds_the_rows(run: Any) -> None:
    words = ("time", "nested-blocks", *QUICK, "--by", "layer", "--format", "json")
    deep = run(*words).json["rows"]
    flat = run(*words, "--depth", "1").json["rows"]
    assert max(row["depth"] for row in flat) == 1 < max(row["depth"] for row in deep)
    assert sum(row["flops"] or 0 for row in flat) == sum(row["flops"] or 0 for row in deep)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--by", "layers"), "not 'layers'", "did you mean 'layer'"),
        (("--depth", "2"), "--depth 2", "--by layer"),
        (("--by", "layer", "--depth", "-1"), "--depth -1", "0 for all levels"),
        (("--by", "layer", "--engine", "compile"), "--by layer", "eager"),
    ],
)
def test_mistakes_about_parts(run: Any, words: tuple[str, ...], message: str, hint: str) -> None:
    run("time", "lenet", *words).assert_error(2, message, hint)


def test_a_training_step_is_timed_by_phases(run: Any) -> None:
    words = ("time", "lenet", *QUICK, "--mode", "train", "--batch-size", "2")
    found = run(*words, "--optimizer", "sgd", "--format", "json").json
    assert list(found["phases_s"]) == ["zeroing", "forward", "backward", "optimizer"]
    assert all(seconds > 0 for seconds in found["phases_s"].values())
    assert found["optimizer"] == "SGD"
    assert found["gradients"] == "on"
    # forward, weights' gradients, and inputs' gradients of all but the first layer
    assert found["flops"] == 3 * 2 * 833_040 - 2 * 235_200
    table = run(*words, "--by", "layer").out
    assert "step less phases" in table
    assert "of the forward pass" in table


def test_the_parts_of_a_step_are_set_beside_its_forward_pass(run: Any) -> None:
    words = ("time", "lenet", *QUICK, "--mode", "train", "--by", "layer", "--format", "json")
    found = run(*words).json
    together = sum(row["time_s"] for row in found["rows"]) + found["unattributed_s"]
    assert together == pytest.approx(found["phases_s"]["forward"], rel=1e-9)


def test_what_has_nothing_to_train_is_told() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x).detach()

    with pytest.raises(UsageError, match="no parameter to train"):
        modelcli.time(nn.ReLU(), (2, 2), mode="train", runs=1)
    with pytest.raises(UsageError, match="no output of the model has a gradient"):
        modelcli.time(Cut(), (2, 2), mode="train", runs=1)


def test_training_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modelcli.time(model, torch.rand(8, 4), mode="train", runs=2, warmup=1)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


def test_a_picture_and_a_trace_are_written(run: Any, tmp_path: Path) -> None:
    picture, trace = tmp_path / "a.svg", tmp_path / "a.json"
    files = ("-o", str(picture), "--trace", str(trace))
    result = run("time", "lenet", *QUICK, *files)
    assert result.code == 0, result.err
    drawn = ElementTree.parse(picture).getroot()
    texts = ["".join(each.itertext()) for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"conv1", "between layers", "FLOP a byte", "product 1.000 TFLOP/s"} <= set(texts)
    dots = list(drawn.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(dots) == 5  # conv1, conv2, fc1, fc2, fc3: the others have no operations counted
    profile = json.loads(trace.read_text())
    names = {event.get("name") for event in profile["traceEvents"]}
    assert "aten::conv2d" in names
    again = run("time", "lenet", *QUICK, *files)  # they are ours
    assert again.code == 0, again.err


def test_files_of_others_are_left_alone(run: Any, tmp_path: Path) -> None:
    for flag, name in (("-o", "a.svg"), ("--trace", "a.json")):
        path = tmp_path / name
        path.write_text("mine")
        run("time", "lenet", *QUICK, flag, str(path)).assert_error(2, "exists", "--force")
        assert path.read_text() == "mine"
    run("time", "lenet", "--trace", str(tmp_path / "a.txt")).assert_error(2, "a.txt", ".json")


def test_a_batch_that_cannot_fit_is_refused_with_one_that_could(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "free_memory_bytes", lambda _device: 1_000_000)
    result = run("time", "lenet", *QUICK, "--batch-size", "1000")
    result.assert_error(2, "a batch of 1,000 of 'lenet' needs", "--batch-size 20")
    assert run("time", "lenet", *QUICK, "--batch-size", "20").code == 0


def test_a_compiled_pass_without_a_compiler_ends_with_3(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_model: nn.Module) -> Any:
        def call(*_args: Any) -> Any:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

        return call

    monkeypatch.setattr(subject, "compiled", refuses)
    result = run("time", "lenet", *QUICK, "--engine", "compile")
    result.assert_error(3, "no compiler here", "--engine eager")


def test_a_model_whose_output_grows_is_told(run: Any, write: Any) -> None:
    path = write(
        "net.py",
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(2, 2)\n        self.kept = []\n\n"
        "    def forward(self, x):\n        self.kept.append(self.fc(x))\n"
        "        return torch.cat(self.kept)\n",
    )
    out = run("time", f"{path}:Net", "--input", "1x2", *QUICK).out
    assert "the model changed while it was timed: its output was" in out

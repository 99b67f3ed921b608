"""``modelcli.summary(model, inputs)`` in code: every way to give it a model and its inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import modelcli
from modelcli import Summary, summary
from modelcli.errors import RunFailedError, UsageError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 4)
        self.b = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None, *, twice: bool = False):
        total = self.a(x) if y is None else self.a(x) + self.b(y)
        return self.a(x) + total if twice else total


def test_importing_the_package_imports_no_torch():
    code = "import modelcli, sys; assert 'torch' not in sys.modules; print(modelcli.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == modelcli.__version__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sumary'"):
        _ = modelcli.sumary  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("inputs", "macs"),
    [
        (torch.zeros(2, 3), 24),
        ((torch.zeros(2, 3),), 24),
        ([torch.zeros(2, 3), torch.zeros(2, 3)], 48),
        ({"x": torch.zeros(2, 3), "y": torch.zeros(2, 3)}, 48),
        ((2, 3), 24),
        ([(2, 3), (2, 3)], 48),
        ({"x": (2, 3), "twice": True}, 48),
    ],
    ids=["tensor", "tuple", "list", "dict", "sizes", "list of sizes", "dict of sizes"],
)
def test_ways_to_give_inputs(inputs: Any, macs: int):
    found = summary(Net(), inputs)
    assert isinstance(found, Summary)
    assert found.failure is None
    assert (found.totals.params, found.totals.macs) == (32, macs)


def test_no_inputs_are_inferred_and_batched():
    found = summary(Net(), batch_size=5)
    assert found.trace.inputs[0].shape == (5, 3)
    assert found.totals.macs == 60


def test_keyword_values():
    assert summary(Net(), (2, 3), kwargs={"twice": True}).totals.macs == 48


def test_a_target_as_on_the_command_line():
    assert summary("lenet").totals.macs == 416_520


def test_rows_and_totals_are_plain_data():
    found = summary(Net(), (2, 3))
    assert [row.path for row in found.rows] == ["", "a", "b"]
    assert [row.executed for row in found.rows] == [True, True, False]
    assert found.totals.executed_params == 16
    assert found.coverage.complete
    assert found.to_dict()["totals"]["macs"] == 24


def test_repr_is_the_table():
    text = repr(summary(Net(), (2, 3)))
    lines = text.splitlines()
    assert lines[0].split() == ["layer", "type", "input", "output", "params", "MACs"]
    assert lines[2].split() == ["a", "Linear", "(2,", "3)", "(2,", "4)", "16", "24"]
    assert "never run" in lines[3]
    assert any(line.startswith("cost") and "24 MACs" in line for line in lines)


def test_depth_is_of_the_table_alone():
    deep = nn.Sequential(nn.Sequential(nn.Linear(3, 4)))
    shallow, full = summary(deep, (1, 3), depth=1), summary(deep, (1, 3), depth=None)
    assert "0.0" not in repr(shallow)
    assert len(repr(shallow).splitlines()) < len(repr(full).splitlines()) + 1
    assert shallow.rows == full.rows
    assert shallow.totals == full.totals


def test_html_escapes_names():
    page = summary(nn.Sequential(nn.Linear(3, 4)), (1, 3))._repr_html_()
    assert page.startswith("<table>")
    assert page.count("<tr>") == 3
    assert "12 MACs" in page

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(3, 4)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers[0](x)

    page = summary(Hidden(), (1, 3))._repr_html_()
    assert "&lt;Linear&gt;" in page
    assert "<Linear>" not in page


def test_a_forward_that_fails_keeps_its_rows():
    found = summary(nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 6)), (1, 3))
    assert found.failure is not None
    assert found.failure.path == "1"
    assert found.rows[1].macs == 12
    assert "error " in repr(found)
    assert "'1' (Linear)" in repr(found)


@pytest.mark.parametrize("wrong", [nn.Linear, 3, torch.zeros(2)], ids=["class", "int", "tensor"])
def test_what_is_no_module(wrong: Any):
    with pytest.raises(UsageError, match="a summary is of a module"):
        summary(wrong)


def test_a_name_that_forward_does_not_take():
    with pytest.raises(UsageError, match="takes no 'z'"):
        summary(Net(), {"z": (1, 3)})


def test_values_are_looked_at_where_the_model_looks_at_them():
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) if x.sum() > 0 else x

    on = summary(Gate(), torch.ones(2, 3))
    off = summary(Gate(), -torch.ones(2, 3))
    assert (on.trace.execution, on.totals.macs) == ("real", 24)
    assert (off.trace.execution, off.totals.macs) == ("real", 0)


def test_backward_and_mode():
    found = summary(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), (2, 3), mode="train",
                    backward=True)  # fmt: skip
    assert found.trace.mode == "train"
    assert found.totals.backward_flops == 96


@pytest.mark.parametrize(
    ("command", "target"),
    [("summary", "lenet"), ("params", "lenet"), ("check", "sequential-list"), ("check", "linear")],
)
def test_a_record_prints_what_the_command_prints(run, command: str, target: str):
    printed = run(command, target).out
    assert repr(getattr(modelcli, command)(target)) == printed.rstrip("\n")


@pytest.mark.parametrize("command", ["summary", "params", "check", "shapes"])
def test_a_record_holds_the_json_of_the_command(run, command: str):
    document = run(command, "lenet", "--format", "json").json
    found = json.loads(json.dumps(getattr(modelcli, command)("lenet").to_dict()))
    assert found["rows" if command != "check" else "rules_run"]
    assert found == {key: document[key] for key in found}


def test_notebooks_show_the_total_first():
    page = modelcli.summary("lenet")._repr_html_()
    total = "params 61,706, 246.824 kB; all trainable; 416,520 MACs, 833,040 FLOPs"
    assert page.startswith(f'<table><caption style="text-align:left">{total}</caption>')
    assert "<details><summary>what feeds what</summary><svg" in page  # the picture, folded
    assert " id=" not in page  # two in one notebook share nothing
    page = modelcli.params("lenet")._repr_html_()
    assert page.index("61,706 parameters") < page.index("conv1.weight")


def test_parameters_of_a_module_are_its_own():
    shared = nn.Linear(3, 3)
    found = modelcli.params(nn.Sequential(shared, nn.Linear(3, 4), shared))
    assert found.totals.params == 12 + 16
    tied = [(row.name, row.tied_to) for row in found.rows if row.tied_to]
    assert tied == [("2.weight", "0.weight"), ("2.bias", "0.bias")]
    assert modelcli.params(Net(), match="a.*").totals.params == 16


def test_two_modules_are_compared_with_their_values():
    left, right = nn.Linear(3, 4), nn.Linear(3, 4)
    assert modelcli.diff(left, right).identical
    assert not modelcli.diff(left, right, values=True).identical
    right.load_state_dict(left.state_dict())
    assert modelcli.diff(left, right, values=True).identical
    assert "only in A" in repr(modelcli.diff(left, nn.Linear(3, 4, bias=False)))


def test_a_check_of_a_module_leaves_it_alone():
    model = Net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = modelcli.check(model, (2, 3), select=["MC1"])
    assert {rule[:3] for rule in found.report.rules_run} == {"MC1"}
    assert found.passed
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with pytest.raises(UsageError):
        modelcli.check(model, (2, 3), ignore=["MC999"])


@pytest.mark.parametrize("function", ["params", "diff", "shapes", "check"])
def test_what_is_no_module_is_refused_everywhere(function: str):
    words = (3, 3) if function == "diff" else (3,)
    with pytest.raises(UsageError, match="not of int"):
        getattr(modelcli, function)(*words)


def test_a_run_is_trained_and_its_curve_read(tmp_path):
    settings = {"train.steps": 4, "train.device": "cpu", "train.out": str(tmp_path / "a"),
                "train.log_every": 1}  # fmt: skip
    record = modelcli.train("perceptron", settings)
    assert record.points[-1].step == 4
    curves = modelcli.plot(tmp_path / "a")
    assert curves.curves[0].points[-1][0] == 4
    assert curves.to_dict()["metric"] == "loss"
    assert "first loss" in repr(curves)
    with pytest.raises(UsageError, match="has no metric 'los'"):
        modelcli.plot(tmp_path / "a", metric="los")


@pytest.mark.cuda
def test_a_model_on_the_device_stays_there():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    model = Net().cuda()
    before = torch.cuda.memory_allocated()
    found = summary(model, torch.zeros(2, 3, device="cuda"))
    assert found.totals.macs == 24
    assert torch.cuda.memory_allocated() == before
    assert {p.device.type for p in model.parameters()} == {"cuda"}


def test_a_run_in_code_leaves_the_files_that_the_command_leaves(tmp_path, capsys):
    from modelcli.cli import main

    settings = {"train.steps": 3, "train.device": "cpu"}
    modelcli.train("perceptron", settings, out=tmp_path / "code")
    words = ["train", "perceptron", "--steps", "3", "--device", "cpu", "--out"]
    assert main([*words, str(tmp_path / "command"), "-q"]) == 0
    capsys.readouterr()
    code, command = (
        {path.name: path.read_text() for path in (tmp_path / name).iterdir()
         if path.suffix in (".json", ".svg", ".toml")}
        for name in ("code", "command")
    )  # fmt: skip
    assert {"summary.json", "curve.svg", "config.toml"} <= code.keys()
    assert code.keys() == command.keys()
    assert code["curve.svg"] == command["curve.svg"]
    ours, theirs = json.loads(code["summary.json"]), json.loads(command["summary.json"])
    assert ours.keys() == theirs.keys()
    assert ours["schema"] == "modelcli.train/1"
    for key in ("loss", "steps", "data", "target", "torch", "diverged"):
        assert ours[key] == theirs[key]


def test_a_diverged_run_in_code_leaves_its_results(tmp_path):
    settings = {"train.steps": 50, "train.device": "cpu", "optimizer.name": "sgd",
                "optimizer.lr": 1e30}  # fmt: skip
    with pytest.raises(RunFailedError):
        modelcli.train("perceptron", settings, out=tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["diverged"] is True


def test_a_graph_is_a_picture_in_a_notebook_and_saves_itself(tmp_path: Path) -> None:
    graph = modelcli.graph(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (1, 3))
    assert graph._repr_html_() == graph.to_svg()
    assert " id=" not in graph.to_svg()  # two of them in one notebook share none
    assert graph.save(tmp_path / "net.svg").read_text() == graph.to_svg()
    assert graph.to_dot().startswith("// drawn by modelcli\ndigraph")
    assert [(edge.source, edge.target) for edge in graph.edges] == [
        ("x0", "c0"), ("c0", "c1"), ("c1", "y0"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="graph writes"):
        graph.save(tmp_path / "net.pdf")

"""``modelcli.summary(model, inputs)`` in code: every way to give it a model and its inputs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

import modelcli
from modelcli import Summary, summary
from modelcli.errors import UsageError


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

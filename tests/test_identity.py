"""Which tensors are one, for every command alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from modelcli.identity import (
    count_unique,
    named_tensors,
    parameter_groups,
    storage_bytes,
    storage_key,
    tensor_key,
    unique_tensors,
    view_key,
)

TIED_BY_STORAGE = """
import torch
from torch import nn


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = nn.Linear(8, 8)
        self.b.weight = nn.Parameter(self.a.weight.data)
        self.c = nn.Linear(8, 2, bias=False)

    def forward(self, x):
        return self.c(self.b(torch.relu(self.a(x))))
"""


@pytest.fixture
def tied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "net.py").write_text(TIED_BY_STORAGE)
    monkeypatch.chdir(tmp_path)
    return "net.py:Tied"


def _model() -> nn.Module:
    scope: dict[str, type[nn.Module]] = {}
    exec(TIED_BY_STORAGE, scope)
    return scope["Tied"]()


def test_every_command_counts_a_tie_by_storage_once(run, tied: str) -> None:
    params = 64 + 8 + 8 + 16
    summary = run("summary", tied, "--input", "1x8", "--format", "json").json
    listed = run("params", tied, "--format", "json").json
    trained = run("train", tied, "--input", "1x8", "--steps", "2", "--format", "json").json
    assert summary["totals"]["params"] == params
    assert listed["totals"]["params"] == params
    assert trained["params"] == trained["trainable_params"] == params
    assert summary["ties"] == [["a.weight", "b.weight"]]


def test_the_default_learning_rate_follows_the_unique_count(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 960 parameters in all, 1,920 names' worth: the two sides of a step of the default rates.
    text = TIED_BY_STORAGE.replace("nn.Linear(8, 8)", "nn.Linear(28, 28)")
    (tmp_path / "net.py").write_text(text.replace("nn.Linear(8, 2,", "nn.Linear(28, 2,"))
    monkeypatch.chdir(tmp_path)
    out = ("--input", "1x28", "--steps", "2", "--format", "json", "--out", "r")
    record = run("train", "net.py:Tied", *out).json
    assert record["params"] == 28 * 28 + 28 + 28 + 56
    assert "lr = 0.03" in Path("r/config.toml").read_text()


def test_a_tie_by_storage_survives_checkpoint_and_resume(run, tied: str) -> None:
    from safetensors.torch import load_file

    common = ("--input", "1x8", "--checkpoint-every", "5", "-q")
    assert run("train", tied, *common, "--steps", "10", "--out", "whole").code == 0
    assert run("train", tied, *common, "--steps", "5", "--out", "two").code == 0
    assert run("train", "--out", "two", "--resume", "--steps", "10", "-q").code == 0
    whole, two = load_file("whole/model.safetensors"), load_file("two/model.safetensors")
    assert "b.weight" not in whole  # written once; its name is in the metadata
    assert whole.keys() == two.keys()
    assert all(torch.equal(whole[name], two[name]) for name in whole)


def test_watch_shows_one_row_for_the_tie(run, tied: str) -> None:
    words = ("--input", "1x8", "--epochs", "1", "--samples", "200", "--watch", "--format", "json")
    record = run("train", tied, *words).json
    names = [tuple(row["names"]) for row in record["watched"]]
    assert names.count(("a.weight", "b.weight")) == 1
    assert len(names) == 4


def test_keys_of_views_and_ties() -> None:
    base = torch.arange(6.0)
    assert tensor_key(base) == tensor_key(base.reshape(2, 3))
    assert view_key(base) != view_key(base.reshape(2, 3))
    assert tensor_key(base[:3]) != tensor_key(base[3:])
    assert storage_key(base[:3]) == storage_key(base[3:]) == storage_key(base)
    assert storage_bytes(base[:3]) == 24
    assert storage_key(torch.eye(2).to_sparse()) is None
    assert tensor_key(torch.empty(0)) != tensor_key(torch.empty(0))


def test_unique_sums_and_groups() -> None:
    model = _model()
    assert count_unique(model.parameters()) == 96
    assert [group.names for group in parameter_groups(model)] == [
        ("a.weight", "b.weight"),
        ("a.bias",),
        ("b.bias",),
        ("c.weight",),
    ]
    assert len(unique_tensors(model.parameters())) == 4
    assert unique_tensors([model.a.weight, model.b.weight])[0] is model.a.weight


def test_the_gradient_of_a_tie_is_the_sum_over_its_objects() -> None:
    model = _model()
    model(torch.ones(2, 8)).sum().backward()
    group = parameter_groups(model)[0]
    assert len(group.parameters) == 2
    gradient = group.gradient()
    assert gradient is not None
    assert torch.equal(gradient, model.a.weight.grad + model.b.weight.grad)
    model.zero_grad()
    assert group.gradient() is None


def test_named_tensors_yields_tied_names_and_buffers() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2))
    model[0].register_buffer("scratch", torch.zeros(3), persistent=False)
    found = {entry.name: (entry.kind, entry.persistent) for entry in named_tensors(model)}
    assert found["0.weight"] == ("parameter", True)
    assert found["0.running_mean"] == ("buffer", True)
    assert found["0.scratch"] == ("buffer", False)

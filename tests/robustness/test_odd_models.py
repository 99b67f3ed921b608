"""Models that call themselves, are a thousand deep, or answer to every name."""

from __future__ import annotations

import contextlib
import json

import pytest
import torch
from torch import nn

import modelcli
from modelcli import summary
from modelcli.errors import ModelcliError


class CallsItself(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return self(x)


def deep():
    net = nn.Linear(4, 4)
    for _ in range(150):
        net = nn.Sequential(net)
    return net


class AnswersEverything(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return lambda *given, **named: None

    def forward(self, x):
        return self.a(x)


@pytest.mark.parametrize("make", [CallsItself, deep])
def test_depth_is_described_and_drawn(make):
    found = summary(make(), torch.zeros(2, 4))
    assert (found.failure is None) == (make is deep)
    assert repr(found)
    assert ("<svg" in found._repr_html_()) == (make is deep)  # nothing ran, nothing is drawn
    assert found.to_dict()


@pytest.mark.parametrize("form", ["svg", "html", "dot", "mermaid"])
def test_depth_in_every_form_of_a_graph(run, tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef deep():\n    net = nn.Linear(4, 4)\n"
        "    for _ in range(150):\n        net = nn.Sequential(net)\n    return net\n"
    )
    words = ("graph", "net.py:deep", "--input", "1x4", "--open", "all", "--as", form)
    result = run(*words, "-o", f"g.{'mmd' if form == 'mermaid' else form}")
    assert result.code == 0, result.err


class RefusesToAnswer(AnswersEverything):
    def __getattr__(self, name):
        if name.startswith("_"):
            raise RuntimeError(f"{name} comes later")
        return nn.Module.__getattr__(self, name)


def test_a_model_whose_getattr_fails_is_asked_no_further():
    found = summary(RefusesToAnswer())
    assert (found.failure, found.totals.macs, found.totals.params) == (None, 16, 20)
    assert modelcli.params(RefusesToAnswer()).totals.params == 20
    errors = [f for f in modelcli.check(RefusesToAnswer()).findings if f.severity == "error"]
    assert errors == []


class Deep(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return torch.relu(self.inner(x))


def test_every_rule_runs_at_the_depth_that_torch_runs():
    net = nn.Linear(4, 4)
    for _ in range(200):
        net = Deep(net)
    found = modelcli.check(net, torch.zeros(2, 4)).to_dict()
    assert found["findings"] == []
    assert not [why for why in found["rules_skipped"].values() if "Recursion" in why]


def test_a_model_that_answers_to_every_name_is_not_taken_for_another_librarys():
    with contextlib.suppress(ModelcliError):  # told in two lines, and no bare TypeError
        summary(AnswersEverything())
    assert summary(AnswersEverything(), torch.zeros(2, 4)).totals.params == 20


@pytest.mark.parametrize("named", [[3], 7, [True, None], ["GPT2Model", 3], {"a": 1}])
def test_architectures_that_are_no_names(run, tmp_path, named):
    pytest.importorskip("transformers")
    config = {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 16,
              "n_positions": 8, "bos_token_id": 0, "eos_token_id": 0,
              "architectures": named}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    result = run("summary", f"hf:{tmp_path}")
    assert "Traceback" not in result.err
    assert result.code in (0, 2)

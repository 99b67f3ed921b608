"""The table of losses, and that every command gives a name the same meaning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from modelcli.errors import UsageError
from modelcli.losses import LOSSES, canonical_name, find_loss
from modelcli.training.objective import Objective

NET = """
import torch
from torch import nn


class Scores(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 16)
        self.fc2 = nn.Linear(16, 3)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


class LogProbabilities(Scores):
    def forward(self, x):
        return torch.log_softmax(super().forward(x), dim=1)
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_a_class_of_torch_with_these_arguments(name: str) -> None:
    import inspect

    spec = LOSSES[name]
    signature = inspect.signature(getattr(nn, spec.module)).parameters
    assert set(spec.arguments) <= set(signature)
    objective = Objective(name, kind=spec.takes)
    output = torch.rand(4, 3).log_softmax(1) if spec.takes == "labels" else torch.rand(4, 3)
    target = torch.tensor([0, 1, 2, 0]) if spec.takes == "labels" else torch.ones(4, 3)
    loss = objective.loss(output, (target,))
    assert loss.dim() == 0
    assert torch.isfinite(loss)
    assert torch.equal(loss, getattr(nn, spec.module)()(output, target))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nn.MSELoss", "mse"),
        ("torch.nn.CrossEntropyLoss", "cross_entropy"),
        ("mse_loss", "mse"),
        ("mae", "l1"),
        ("ce", "cross_entropy"),
        ("Huber", "huber"),
        ("nothing", "nothing"),
    ],
)
def test_spellings(text: str, name: str) -> None:
    assert canonical_name(text) == name


def test_an_unknown_loss_is_told_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="unknown loss 'hubber'") as raised:
        find_loss("hubber")
    assert raised.value.hint.startswith("did you mean 'huber'? there are cross_entropy, nll")


@pytest.mark.parametrize("loss", ["mae", "smooth_l1", "poisson_nll", "MSELoss"])
def test_check_and_train_know_the_same_losses(run, net: None, loss: str) -> None:
    words = ("net.py:Scores", "--input", "4x8", "--loss", loss)
    assert run("check", *words, "--train", "--select", "MC7").code in (0, 1)
    trained = run("train", *words, "--data", "teacher", "--steps", "3", "--device", "cpu")
    refused = loss == "poisson_nll"  # the teacher's targets are negative, too
    assert trained.code == (2 if refused else 0), trained.err


def test_check_refuses_a_loss_that_nobody_knows(run, net: None) -> None:
    words = ("check", "net.py:Scores", "--input", "4x8", "--loss", "hubber")
    run(*words).assert_error(2, "unknown loss 'hubber'", "did you mean 'huber'?")


def test_nll_of_raw_scores_is_told_by_check_and_refused_by_train(run, net: None) -> None:
    words = ("net.py:Scores", "--input", "4x8", "--loss", "nll")
    checked = run("check", *words, "--train", "--format", "json")
    assert checked.code == 1
    found = {finding["rule"]: finding["message"] for finding in checked.json["findings"]}
    assert "nll takes log-probabilities" in found["MC508"]
    assert "MC701" in checked.json["rules_skipped"]
    trained = run("train", *words, "--steps", "3", "--device", "cpu")
    trained.assert_error(2, "the loss 'nll' takes log-probabilities", "use --loss cross_entropy")


def test_nll_of_log_probabilities_is_cross_entropy_of_scores(run, net: None) -> None:
    words = ("--input", "4x8", "--steps", "20", "--device", "cpu", "--format", "json")
    scores = run("train", "net.py:Scores", *words, "--loss", "cross_entropy").json
    logs = run("train", "net.py:LogProbabilities", *words, "--loss", "nll").json
    assert logs["loss"]["last"] == pytest.approx(scores["loss"]["last"], rel=1e-4)
    checked = run("check", "net.py:LogProbabilities", "--input", "4x8", "--loss", "nll", "--train")
    assert checked.code == 0, checked.out

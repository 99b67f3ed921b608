"""The sweep of the learning rate: what it suggests, what it leaves, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training.training_runs import Silent, make_run

from modelcli.errors import RunFailedError
from modelcli.training.run.find_lr import find_lr
from modelcli.training.run.session import Session
from modelcli.views.train import record_body
from modelcli.views.train_lr import sweep_lines, sweep_text


@pytest.mark.parametrize(
    ("target", "optimizer", "low", "high"),
    [("mlp", "adam", 4e-5, 4e-3), ("lenet", "sgd", 0.01, 0.25), ("linear", "adam", 2e-3, 0.1)],
)
def test_a_rate_is_suggested_from_which_the_run_learns(
    target: str, optimizer: str, low: float, high: float
) -> None:
    made = make_run(model_target=target, optimizer_name=optimizer, train_steps=400)
    sweep = find_lr(made)
    assert low < sweep.suggested < high
    assert sweep.suggested == pytest.approx(sweep.reached / 10, rel=0.05)
    assert "a tenth of it" in sweep_text(sweep)
    assert made.learner.optimizer.param_groups[0]["lr"] == sweep.suggested
    record = Session(made, Silent()).train()
    assert record.verdict == "learned"
    body = record_body(record)
    assert body["lr"] == body["find_lr"]["suggested"] == sweep.suggested
    assert f"--lr {sweep.suggested:g}" in sweep_lines(sweep, width=60)[-1]


def test_a_run_that_warms_up_takes_a_quarter() -> None:
    sweep = find_lr(make_run(model_target="mlp", train_steps=20, schedule_warmup=5))
    assert sweep.suggested == pytest.approx(sweep.reached / 4, rel=0.05)
    assert f"a quarter of it: --lr {sweep.suggested:g}" in sweep_text(sweep)


def test_a_sweep_leaves_the_model_and_the_random_state_as_they_were() -> None:
    made = make_run(model_target="autoencoder", train_steps=5)  # batch norm has buffers
    before = {name: value.clone() for name, value in made.trained.model.state_dict().items()}
    state = torch.get_rng_state()
    find_lr(made)
    after = made.trained.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(torch.get_rng_state(), state)
    assert not made.learner.optimizer.state
    assert all(parameter.grad is None for parameter in made.learner.params)


STILL = """
import torch
from torch import nn

class Still(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 4)
    def example_inputs(self): return torch.randn(1, 8)
    def forward(self, x): return 0 * self.a(x)

class Broken(Still):
    def forward(self, x): return self.a(x) * float("nan")
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [("Still", "no learning rate from 1e-06 to 1 lowers the loss"), ("Broken", "is not finite")],
)
def test_a_model_that_no_rate_helps_is_told(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "net.py").write_text(STILL)
    with pytest.raises(RunFailedError, match=message) as caught:
        find_lr(make_run(model_target=f"{tmp_path / 'net.py'}:{name}", train_steps=5))
    assert "modelcli check" in caught.value.hint


def test_find_lr_and_a_rate_contradict_each_other(run: Any) -> None:
    result = run("train", "lenet", "--find-lr", "--lr", "0.1")
    assert result.code == 2
    assert "looks for a learning rate, and 0.1 is given" in result.err
    assert run("train", "lenet", "--find-lr", "--resume", "--out", "nowhere").code == 2

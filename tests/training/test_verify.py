"""A step that is verified: what counts as the same step, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from training.training_runs import make_run

from modelcli.training.data.tensors import Batches, Split
from modelcli.training.engine.step import EagerEngine, Learner
from modelcli.training.engine.verify import StepState, compare_steps, copy_state, restore_state


@dataclass(frozen=True)
class Trained:
    learner: Learner
    batch: Split

    def take(self) -> torch.Tensor:
        return EagerEngine(self.learner).step([self.batch])


@pytest.fixture
def trained() -> Trained:
    """A learner with batch norm, dropout and moments, a few steps under way."""
    flags = {"model_target": "autoencoder", "data_samples": 64, "train_batch_size": 8}
    made = make_run(**flags, train_steps=9)
    batches = Batches(made.data, batch_size=8, seed=0)
    made.learner.model.train()
    engine = EagerEngine(made.learner)
    for number in range(3):
        engine.step([batches[number]])
    return Trained(learner=made.learner, batch=batches[7])


def nothing(learner: Learner, _before: StepState) -> None:
    """Leave the step as it is."""


def skip_update(learner: Learner, before: StepState) -> None:
    for param, old in zip(before.tensors[0], before.copies[0], strict=True):
        param.data.copy_(old)


def keep_buffers(learner: Learner, before: StepState) -> None:
    for buffer, old in zip(before.tensors[1], before.copies[1], strict=True):
        buffer.copy_(old)


def double_moments(learner: Learner, before: StepState) -> None:
    for state in learner.optimizer.state.values():
        state["exp_avg"].mul_(2)


def spoil_weights(learner: Learner, before: StepState) -> None:
    before.tensors[0][0].data.fill_(float("nan"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (nothing, ""),
        (skip_update, "the weights should change by "),
        (keep_buffers, "the buffers should change by "),
        (double_moments, "the optimiser's state should change by "),
        (spoil_weights, "the weights should change by "),
    ],
)
def test_a_step_is_compared_by_what_it_changes(
    trained: Trained, change: Callable[[Learner, StepState], None], told: str
) -> None:
    learner = trained.learner
    before = copy_state(learner)
    expected_loss = trained.take()
    expected = before.read_now()
    restore_state(learner, before)
    loss = trained.take()  # with the same dropout, because the random state was put back
    change(learner, before)
    differs = compare_steps(loss, expected_loss, before, expected)
    assert differs.startswith(told)
    assert bool(differs) == bool(told)


def test_another_loss_is_another_step(trained: Trained) -> None:
    before = copy_state(trained.learner)
    loss = trained.take()
    differs = compare_steps(loss, 2 * loss, before, before.read_now())
    assert differs == f"the loss is {float(loss):.6g}, not {2 * float(loss):.6g}"


def test_a_restored_state_is_what_it_was(trained: Trained) -> None:
    before = copy_state(trained.learner)
    trained.take()
    restore_state(trained.learner, before)
    for group, copies in zip(before.tensors, before.copies, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(group, copies, strict=True))
    assert torch.equal(torch.get_rng_state(), before.random_state)

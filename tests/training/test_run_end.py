"""What a run says before it starts, and at its end: symptoms, interruptions, watched rows."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
import torch
from torch import nn
from training.training_runs import Silent, make_run, run

from modelcli.training.data.tensors import count_samples
from modelcli.training.run.ending import StoppedError
from modelcli.training.run.estimate import estimate_step_s
from modelcli.training.run.observer import Point
from modelcli.training.run.session import Session
from modelcli.training.run.symptoms import find_symptoms
from modelcli.training.run.watch import Watch, Watched
from modelcli.views.train import watched_lines
from modelcli.views.train_length import length_lines
from modelcli.views.train_verdict import verdict_text


def test_a_weight_that_is_drawn_anew_is_named_as_the_lesson() -> None:
    record = run(model_target="functional-linear", train_steps=200)
    assert record.verdict == "nothing"
    assert "the random weight is no parameter: it never trains" in verdict_text(record)
    young = find_symptoms(make_run(model_target="functional-linear", train_steps=200))
    assert young == (
        "in evaluation mode the same inputs give other outputs each time: forward draws random "
        "numbers",
    )


def test_where_nothing_depends_on_the_input_any_more_is_named() -> None:
    record = run(model_target="nested-blocks", train_steps=200)
    assert record.verdict == "nothing"
    assert "on nothing depends on the input: the ReLU gives 0 for all" in verdict_text(record)
    assert "9 of 18 parameter tensors got no gradient" in verdict_text(record)


def test_a_run_that_learns_is_not_looked_at_for_symptoms() -> None:
    record = run(model_target="mlp", train_steps=60)
    assert record.symptoms == ()


@pytest.mark.parametrize(("target", "has_bias"), [("dict-dense", False), ("linear", True)])
def test_data_has_a_bias_where_the_model_can_have_one(target: str, has_bias: bool) -> None:
    made = make_run(model_target=target, data_name="linear", data_samples=100)
    assert made.data.facts.bias is not None
    assert bool(made.data.facts.bias.any()) is has_bias
    again = make_run(model_target=target, data_name="linear", data_samples=100)
    state = again.trained.model.state_dict()
    for name, value in made.trained.model.state_dict().items():
        assert torch.equal(value, state[name])


def test_a_run_without_bias_learns_all_there_is() -> None:
    record = run(model_target="dict-dense", train_steps=1000)
    assert record.verdict == "learned"
    assert record.evidence is not None
    assert record.evidence.gain > 0.95


class Interrupting(Silent):
    """Sends the process SIGINT at a step."""

    def point(self, point: Point) -> None:
        super().point(point)
        if point.step >= 10:
            signal.raise_signal(signal.SIGINT)


def test_an_interrupted_run_has_a_record_of_what_ran() -> None:
    with pytest.raises(StoppedError) as caught:
        Session(make_run(model_target="mlp", train_steps=200), Interrupting()).train()
    record = caught.value.record
    assert record is not None
    assert 10 <= record.steps < 200 == record.planned_steps
    assert not record.steps_are_done
    assert record.verdict is not None
    assert record.held_out is not None


def test_a_point_says_how_many_passes_the_run_has() -> None:
    observer = Silent()
    made = make_run(model_target="mlp", data_samples=100, data_validation=0.2, train_epochs=3,
                    train_batch_size=20)  # fmt: skip
    Session(made, observer).train()
    assert {point.epochs for point in observer.points} == {3.0}
    assert {point.epochs for point in _points_of_fresh()} == {0.0}


def _points_of_fresh() -> list[Point]:
    return list(run(model_target="mlp", train_steps=3).points)


def _row(number: int, **more: object) -> Watched:
    row = Watched(step=1, epoch=0, names=(f"layer{number}.weight",), weight_norm=1.0, grad_norm=1.0,
                  ratio=0.001 * number, warning="")  # fmt: skip
    return replace(row, **more)


def test_of_many_watched_rows_the_telling_ones_are_kept() -> None:
    rows = [_row(number) for number in range(40)]
    rows[3] = _row(3, warning="gradient is zero")
    lines = watched_lines(rows)
    assert len(lines) == 14
    assert "weight norm" in lines[0]
    assert "layer3.weight" in lines[1]
    assert "layer39.weight" in lines[-2]
    assert lines[-1].strip().startswith("28 more parameter tensors")
    assert len(watched_lines(rows[:13])) == 14


def test_an_update_of_a_bias_near_zero_is_not_called_large() -> None:
    module = nn.Linear(4, 9)
    with torch.no_grad():
        module.bias.zero_()
        watch = Watch(module)
        watch.snapshot()
        module.bias.add_(1e-3)
        module.weight.mul_(2)
    rows = {row.names[0]: row for row in watch.look(step=1, epoch=0)}
    assert rows["bias"].ratio == pytest.approx(0.1)
    assert rows["weight"].ratio == pytest.approx(1)


def test_a_run_of_many_classes_holds_more_samples_out() -> None:
    few = count_samples(0, validation=0.1, wanted=192, sample_bytes=602_112, batch_size=64)
    many = count_samples(
        0, validation=0.1, wanted=192, sample_bytes=602_112, batch_size=64, classes=1000
    )
    assert (few[1], many[1]) == (22, 96)
    assert count_samples(None, validation=0.0, wanted=9, sample_bytes=4, batch_size=2,
                         classes=1000)[1] == 0  # fmt: skip


def test_the_length_of_a_run_is_told_where_it_is_long_or_nothing_was_named() -> None:
    assert length_lines("mlp", "prototypes", 500, 64, 0.001, is_named=True) == []
    assert length_lines("big", "prototypes", 3, 64, 26.3, is_named=True) == [
        "about 26.3 s a step here: 3 steps take 1:19; --batch-size 8 takes 3.29 s a step"
    ]
    (line,) = length_lines("lenet", "prototypes", 500, 64, 0.01, is_named=False)
    assert line.startswith("no model is named: this trains lenet on prototypes for 500 steps, ")
    assert "about 5.00 s here" in line


def test_an_estimate_leaves_the_model_as_it_was() -> None:
    made = make_run(model_target="autoencoder", train_steps=4)
    before = {name: value.clone() for name, value in made.trained.model.state_dict().items()}
    assert (estimate_step_s(made) or 0) > 0
    after = made.trained.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in made.learner.params)

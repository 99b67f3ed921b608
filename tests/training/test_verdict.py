"""The verdict on a run: rules on made-up evidence, and runs whose outcome is known."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from training.training_runs import run

from modelcli.training.run.verdict import (
    Evidence,
    Verdict,
    is_falling,
    is_flat,
    judge,
    second_half,
    trend,
)
from modelcli.views.train import record_body
from modelcli.views.train_verdict import verdict_text


def falling(first: float, last: float, count: int = 20) -> tuple[tuple[int, float], ...]:
    """Return a curve that falls by the same factor at every point."""
    factor = (last / first) ** (1 / (count - 1))
    return tuple((10 * n + 1, first * factor**n) for n in range(count))


FLAT = tuple((10 * n + 1, 2.3 + 0.01 * (-1) ** n) for n in range(20))
SOUND = Evidence(
    finite=True, trivial=2.3, first=2.35, points=falling(2.35, 0.1), held_out=0.12,
    held_out_samples=400, error=0.02, accuracy=0.98, chance=0.1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "learned"),
        ({"finite": False}, "diverged"),
        ({"held_out": math.nan}, "diverged"),
        ({"points": falling(2.35, 20.0), "held_out": 20.0, "accuracy": 0.1}, "diverged"),
        ({"points": FLAT, "held_out": 2.31, "accuracy": 0.1}, "nothing"),
        ({"points": FLAT, "held_out": 2.31, "accuracy": 0.12}, "nothing"),  # chance, by chance
        ({"points": FLAT, "held_out": 2.31, "accuracy": 0.2}, "learning"),
        ({"points": FLAT, "held_out": 2.31, "accuracy": 0.12, "held_out_samples": 9}, "nothing"),
        ({"points": FLAT, "held_out": 2.1, "accuracy": 0.1, "error": 0.1}, "nothing"),
        ({"points": FLAT, "held_out": 2.1, "accuracy": 0.1, "error": 0.01}, "learning"),
        ({"points": falling(2.35, 2.0), "held_out": 2.25, "accuracy": 0.1}, "learning"),
        ({"held_out": 1.2, "accuracy": 0.7}, "learning"),
        ({"held_out": 1.2, "accuracy": 0.7, "best_accuracy": 0.71}, "learned"),
        ({"held_out": 1.2, "accuracy": 0.7, "best_accuracy": 0.71, "chance": 0.5}, "learning"),
        ({"trained": 0.01, "held_out": 1.9, "accuracy": 0.4}, "overfitted"),
        ({"trained": 0.01, "held_out": 1.9, "error": 0.9}, "learning"),
        ({"trained": 0.01, "held_out": 0.1}, "learned"),
        ({"fitted": True, "held_out": 9.0}, "learned"),
        ({"fitted": False, "held_out": 9.0}, "learning"),
        ({"fitted": False, "points": FLAT, "held_out": 9.0}, "nothing"),
        ({"points": ()}, "diverged"),
    ],
)
def test_rules(changes: dict[str, Any], verdict: str) -> None:
    evidence = dataclasses.replace(SOUND, **changes)
    if changes.get("points") == ():
        assert judge(dataclasses.replace(evidence, finite=False)) == verdict
        assert judge(evidence) == "nothing"
    else:
        assert judge(evidence) == verdict


def test_values_that_vary_right_at_a_wrong_level_are_learned() -> None:
    curve = (*falling(5.0, 2.5, 10), *((10 * n + 1, 2.5) for n in range(10, 20)))
    evidence = Evidence(
        finite=True, trivial=1.0, first=5.0, points=curve, held_out=2.5, held_out_samples=100,
        shape=(0.1, 0.99),
    )  # fmt: skip
    assert judge(evidence) == Verdict.LEARNED
    assert judge(dataclasses.replace(evidence, shape=(0.9, 0.99))) == Verdict.NOTHING
    assert judge(dataclasses.replace(evidence, shape=(0.1, 0.5))) == Verdict.LEARNING
    assert judge(dataclasses.replace(evidence, shape=(0.1, 0.15))) == Verdict.NOTHING


def test_the_trend_is_a_slope_of_logarithms_over_the_second_half() -> None:
    slope, t = trend(second_half(falling(math.e**4, 1.0, 21)), 0.0)
    # 20 points without the first step, of which the last ten: nine twentieths of a fall by e^4
    assert slope == pytest.approx(-4 * 9 / 20)
    assert t < -1e6
    assert trend([(1, 2.0), (2, 1.0)], 0.0) == (0.0, 0.0)
    assert abs(trend(second_half(FLAT), 0.0)[1]) < 2


def test_a_slow_fall_that_is_still_above_the_trivial_answer_is_learning() -> None:
    # So noisy that the second half alone would not say that it falls; all of the run does.
    noise = (0.5, -0.6, 0.4, -0.3, 0.6, -0.4, -0.5)
    losses = [5.0 - 0.1 * n + noise[n % 7] / 1.3 for n in range(21)]
    evidence = Evidence(
        finite=True, trivial=2.0, first=5.0, held_out=3.4, held_out_samples=400, error=0.2,
        points=tuple((1 + 15 * n, loss) for n, loss in enumerate(losses)),
    )  # fmt: skip
    assert -3 < evidence.trend[1] < -1
    assert evidence.whole_trend[1] < -6
    assert judge(evidence) == Verdict.LEARNING
    assert is_falling(evidence)
    assert not is_flat(evidence)
    # One that has come as far as the constant answer needs the surer sign.
    assert judge(dataclasses.replace(evidence, held_out=2.1)) == Verdict.NOTHING


def test_a_floor_near_the_trivial_answer_is_left_out() -> None:
    evidence = dataclasses.replace(SOUND, floor=2.25)
    assert evidence.span == 2.3
    assert dataclasses.replace(SOUND, floor=0.3).span == pytest.approx(2.0)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


KNOWN: dict[str, tuple[dict[str, object], str, str]] = {
    "lenet": ({"model_target": "lenet", "train_steps": 60}, "learned", "of what there is to learn"),
    "a rate that does nothing": (
        {"model_target": "mlp", "train_steps": 60, "optimizer_lr": 1e-9},
        "nothing", "held out it is no better than guessing",
    ),
    "a rate that is too high": (
        {"model_target": "linear", "train_steps": 60, "optimizer_name": "sgd",
         "optimizer_lr": 10.0},
        "diverged", "diverged: a smaller --lr, or --clip 1",
    ),
    "a short run": (
        {"model_target": "nest-mlp", "train_steps": 60, "optimizer_lr": 3e-3},
        "learning", "of what there is to learn, and the loss still falls: --steps 120",
    ),
    "three steps": (
        {"model_target": "mlp", "train_steps": 3, "optimizer_lr": 1e-4}, "learning", ": --steps 6",
    ),
    "one batch": (
        {"model_target": "lenet", "train_overfit": True, "train_steps": 100},
        "learned", "one batch is known by heart",
    ),
    "weights made in forward": (
        {"model_target": "functional-linear", "train_steps": 200},
        "nothing", "modelcli check functional-linear looks for why",
    ),
    "layers that are left out": (
        {"model_target": "nested-blocks", "train_steps": 200},
        "nothing", "9 of 18 parameter tensors got no gradient (",
    ),
    "no bias where the data has one": (
        {"model_target": "list-dense", "train_steps": 1000, "data_bias": (2.0,)},
        "learned", "of how targets vary, but not their level",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_runs_of_known_outcome(name: str) -> None:
    flags, verdict, words = KNOWN[name]
    try:
        record = run(**flags)
    except Exception as error:  # a run that diverges leaves its record in the error
        record = error.record  # type: ignore[attr-defined]
    assert record.verdict == verdict, record_body(record)["evidence"]
    assert words in verdict_text(record)


def test_random_labels_are_overfitted_and_nothing_at_first(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    file = str(tmp_path / "random.npz")
    x = rng.standard_normal((256, 784)).astype("float32")
    np.savez(file, x=x, y=rng.integers(10, size=256))
    flags: dict[str, object] = {"model_target": "mlp", "data_name": file, "train_batch_size": 32}
    long = run(**flags, train_epochs=40)
    assert long.verdict == "overfitted"
    assert "overfitted: the loss is 0.0" in verdict_text(long)
    assert run(**flags, train_steps=4, optimizer_lr=1e-6).verdict == "nothing"


def test_classes_of_unequal_size_are_no_achievement(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    file = str(tmp_path / "unequal.npz")
    x = rng.standard_normal((2000, 784)).astype("float32")
    np.savez(file, x=x, y=(rng.random(2000) < 0.1).astype(int))
    record = run(
        model_target="mlp", data_name=file, train_steps=40, optimizer_lr=1e-5, train_batch_size=64
    )
    assert record.evidence is not None
    assert record.evidence.trivial == pytest.approx(0.325, abs=0.12)  # the entropy of 1 in 10
    assert record.evidence.chance == pytest.approx(0.9, abs=0.02)
    assert record.verdict == "nothing"


def test_the_document_holds_the_verdict_and_its_evidence() -> None:
    body = record_body(run(model_target="mlp", train_steps=20))
    assert body["verdict"] in {"learned", "learning"}
    evidence = body["evidence"]
    assert evidence["trivial_loss"] == pytest.approx(math.log(10))
    assert evidence["trained_tensors"] == 4
    assert evidence["without_gradient"] == []
    held_out = body["loss"]["held_out"]
    assert evidence["gain"] == pytest.approx(1 - held_out / math.log(10))


def test_judging_does_not_change_the_run() -> None:
    once, twice = (run(model_target="nest-mlp", train_steps=30, train_seed=3) for _ in range(2))
    assert [p.loss for p in once.points] == [p.loss for p in twice.points]
    assert is_falling(once.evidence) == is_falling(twice.evidence)  # type: ignore[arg-type]

"""Data: what is drawn, in which order, and what is known about it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training.training_runs import make_run

from modelcli.errors import UsageError
from modelcli.training.data.sets.linear import make_linear
from modelcli.training.data.sets.prototypes import Prototypes
from modelcli.training.data.tensors import (
    Batches,
    Data,
    DataFacts,
    SampleSpec,
    Split,
    chunk_of,
    count_samples,
)
from modelcli.training.distributed.batches import PartBatches
from modelcli.training.distributed.world import World
from modelcli.training.run.measure import loss_floor

CPU = torch.device("cpu")


def plain_data(samples: int) -> Data:
    x = torch.arange(samples)[:, None].float()
    split = Split(inputs=(x,), targets=(torch.arange(samples),))
    return Data(
        name="x", kind="labels", train=split, held_out=None, facts=DataFacts(description="")
    )


def drawn(batches: Batches, count: int) -> list[int]:
    return [int(i) for number in range(count) for i in batches[number].targets[0]]


def test_every_pass_sees_every_sample_once_in_a_new_order() -> None:
    order = drawn(Batches(plain_data(10), batch_size=4, seed=0), 5)
    first, second = order[:10], order[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_a_batch_depends_on_its_number_alone() -> None:
    batches = Batches(plain_data(10), batch_size=4, seed=3)
    in_order = [drawn(batches, 6)[4 * n : 4 * n + 4] for n in range(6)]
    again = Batches(plain_data(10), batch_size=4, seed=3)
    assert [again[n].targets[0].tolist() for n in (5, 2, 0)] == [in_order[n] for n in (5, 2, 0)]


def test_inputs_and_targets_of_a_batch_belong_together() -> None:
    batch = Batches(plain_data(10), batch_size=4, seed=1)[7]
    assert batch.inputs[0][:, 0].tolist() == batch.targets[0].tolist()


def test_the_same_batch_again_and_again() -> None:
    batches = Batches(plain_data(10), batch_size=4, seed=1, same=True)
    assert batches[0].targets[0].tolist() == batches[9].targets[0].tolist()


def test_a_batch_larger_than_a_pass_wraps_around() -> None:
    batches = Batches(plain_data(3), batch_size=3, seed=0)
    assert sorted(drawn(batches, 2)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("validation", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("wanted", [None, 64, 100_000])
def test_a_count_given_back_gives_the_same_split(validation: float, wanted: int | None) -> None:
    arguments = {"validation": validation, "sample_bytes": 4096, "batch_size": 64}
    train, held = count_samples(None, wanted=wanted, **arguments)  # type: ignore[arg-type]
    assert train >= 64
    assert bool(held) == bool(validation)
    assert count_samples(train + held, wanted=None, **arguments) == (train, held)  # type: ignore[arg-type]


def test_large_samples_are_made_in_smaller_numbers() -> None:
    train, held = count_samples(
        None, validation=0.1, wanted=None, sample_bytes=600_000, batch_size=8
    )
    assert (train + held) * 600_000 < 300_000_000


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        make_run(data_samples=10)
    assert caught.value.message == (
        "a batch of 64 is larger than the data: 9 samples (1 more are held out)"
    )
    assert caught.value.hint == "use --batch-size 9 or less"


def test_prototypes_are_balanced_and_noisy_as_asked() -> None:
    run = make_run(model_target="mlp", data_samples=1000, data_validation=0.0, data_noise=0.5)
    x, labels = run.data.train.inputs[0], run.data.train.targets[0]
    assert labels.bincount().tolist() == [100] * 10
    centres = torch.stack([x[labels == c].mean(0) for c in range(10)])
    assert (x - centres[labels]).std().item() == pytest.approx(0.5, abs=0.01)


def test_the_best_accuracy_of_prototypes_is_that_of_the_normal_distribution() -> None:
    # two classes at -1 and +1: the best classifier errs with probability Q(1 / noise)
    task = Prototypes(prototypes=torch.tensor([[-1.0], [1.0]]), noise=1.0)
    split = task(100_000, torch.Generator().manual_seed(0))
    expected = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    assert task.best_accuracy(split) == pytest.approx(expected, abs=0.005)


def test_the_floor_of_a_linear_task_is_the_variance_of_its_noise() -> None:
    run = make_run(model_target="linear", data_noise=0.3, data_samples=20_000)
    assert loss_floor(run.learner, run.data) == pytest.approx(0.09, rel=0.1)


def test_the_targets_of_a_linear_task_are_the_given_map() -> None:
    task, _ = make_linear(
        SampleSpec(shape=(2,)), (1,), weight=[2.0, -3.4], bias=4.2, noise=0.0, device=CPU, seed=0
    )
    split = task(50, torch.Generator().manual_seed(1))
    x, y = split.inputs[0], split.targets[0]
    assert torch.allclose(y[:, 0], 2 * x[:, 0] - 3.4 * x[:, 1] + 4.2, atol=1e-5)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("weight", [1.0], "data.weight has 1 values, and this model needs 12"),
        ("weight", [[1.0], [1.0, 2.0]], "data.weight is no array of numbers"),
        ("bias", 1.0, "data.bias has 1 values, and this model needs 3"),
    ],
)
def test_a_linear_map_that_does_not_fit_is_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_run(model_target="linear", **{f"data_{key}": value})
    assert caught.value.message == message


def test_reconstruction_targets_are_the_inputs() -> None:
    train = make_run(model_target="autoencoder", data_samples=100).data.train
    assert train.targets[0] is train.inputs[0]
    assert train.inputs[0].var().item() == pytest.approx(1, abs=0.3)


def test_teacher_targets_are_standardised() -> None:
    run = make_run(model_target="nest-mlp", data_name="teacher", data_samples=4000)
    y = run.data.train.targets[0]
    assert y.mean(0).abs().max().item() < 0.3
    assert y.std(0).mean().item() == pytest.approx(1, abs=0.1)


def test_a_teacher_whose_rows_are_not_the_inputs_is_asked_batch_by_batch() -> None:
    run = make_run(model_target="parallel")
    batch = Batches(run.data, batch_size=8, seed=0)[0]
    assert batch.inputs[0].shape == (8, 20)
    assert batch.targets[0].shape == (16, 16)


def test_fresh_samples_differ_from_step_to_step_but_not_from_run_to_run() -> None:
    run = make_run(model_target="linear", train_steps=5)
    one, two = (Batches(run.data, batch_size=4, seed=0) for _ in range(2))
    drawn = [one[number].inputs[0] for number in range(40)]
    assert len({float(x.sum()) for x in drawn}) == 40
    for number in (39, 17, 3, 0, 1):  # in whatever order they are asked for
        assert torch.equal(two[number].inputs[0], drawn[number])


@pytest.mark.parametrize("samples", [None, 20])
def test_the_parts_of_three_processes_are_the_batch_of_one(samples: int | None) -> None:
    run = make_run(model_target="linear", data_samples=samples, train_batch_size=8, train_steps=5)
    alone = Batches(run.data, batch_size=8, seed=0)
    parts = [
        PartBatches(run.data, batch_size=8, seed=0, same=False, world=World(rank=rank, size=3))
        for rank in range(3)
    ]
    for number in (0, 3, 1, 9):
        taken = [part[number] for part in parts]
        assert [len(each) for each in taken] == [2, 3, 3]
        assert torch.equal(torch.cat([each.inputs[0] for each in taken]), alone[number].inputs[0])
        assert torch.equal(torch.cat([each.targets[0] for each in taken]), alone[number].targets[0])


def test_chunks_of_fresh_samples_follow_each_other_without_a_gap() -> None:
    for most in (1, 2, 8):
        starts = [chunk_of(number, most) for number in range(64)]
        assert [chunk for chunk, _, _ in starts] == sorted(chunk for chunk, _, _ in starts)
        chunks = sorted(set(starts))
        assert [chunk for chunk, _, _ in chunks] == list(range(len(chunks)))
        ends = [first + count for _, first, count in chunks]
        assert ends[:-1] == [first for _, first, _ in chunks[1:]]
        assert max(count for _, _, count in chunks) == most
    assert [count for _, _, count in sorted({chunk_of(n, 8) for n in range(24)})] == [
        1, 1, 2, 4, 8, 8,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "fresh"),
    [
        ({}, True),
        ({"train_steps": 5}, True),
        ({"data_samples": 0, "train_steps": 5}, True),
        ({"data_samples": 128, "train_steps": 5}, False),
        ({"train_epochs": 1}, False),
        ({"train_overfit": True}, False),
    ],
)
def test_samples_are_fresh_where_only_steps_are_given(flags: dict[str, Any], fresh: bool) -> None:
    run = make_run(model_target="linear", **flags)
    assert (run.data.draw is not None) is fresh
    assert len(run.data.held_out or ()) > 0


def test_digits_are_resized_to_the_model() -> None:
    run = make_run(model_target="lenet", data_name="digits")
    x, y = run.data.train.inputs[0], run.data.train.targets[0]
    assert x.shape == (1617, 1, 32, 32)
    assert len(run.data.held_out or ()) == 180
    assert sorted(y.unique().tolist()) == list(range(10))
    assert make_run(model_target="mlp", data_name="digits").data.train.inputs[0].shape[1:] == (784,)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("linear", "digits are images, and the model takes (B, 4)"),
        ("autoencoder", "digits need scores for 10 classes; the model gives (2, 1, 32, 32)"),
    ],
)
def test_digits_for_a_model_that_they_do_not_fit_are_refused(target: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_run(model_target=target, data_name="digits")
    assert told in caught.value.message


def save(path: Path, **arrays: np.ndarray) -> str:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        from safetensors.numpy import save_file

        save_file(arrays, path)
    return str(path)


@pytest.mark.parametrize("name", ["data.npz", "data.safetensors"])
def test_a_file_with_x_and_y_is_data(tmp_path: Path, name: str) -> None:
    x = np.arange(80, dtype=np.float32).reshape(20, 4)
    file = save(tmp_path / name, x=x, y=(2 * x[:, :3]).astype(np.float32))
    run = make_run(model_target="linear", data_name=file, train_batch_size=4)
    assert (len(run.data.train), len(run.data.held_out or ())) == (18, 2)
    assert run.data.kind == "values"
    split = run.data.train
    assert torch.equal(2 * split.inputs[0][:, :3], split.targets[0])


def test_whole_numbers_in_a_file_are_labels(tmp_path: Path) -> None:
    x = np.zeros((100, 784), dtype=np.float32)
    file = save(tmp_path / "d.npz", x=x, y=np.arange(100) % 10)
    run = make_run(model_target="mlp", data_name=file)
    assert (run.data.kind, run.data.facts.classes) == ("labels", 10)


def test_samples_whose_label_the_loss_ignores_are_left_out(tmp_path: Path) -> None:
    x = np.arange(100, dtype=np.float32)[:, None].repeat(784, axis=1)
    y = np.where(np.arange(100) % 4 == 0, -100, np.arange(100) % 10)
    run = make_run(model_target="mlp", data_name=save(tmp_path / "d.npz", x=x, y=y))
    assert run.data.facts.description == ("100 rows of d.npz, 25 with the label -100 left out")
    assert (len(run.data.train), len(run.data.held_out or ())) == (67, 8)
    assert not (run.data.train.inputs[0][:, 0] % 4 == 0).any()
    assert run.data.train.targets[0].min() >= 0


@pytest.mark.parametrize(
    ("label", "loss", "told"),
    [
        (0, "multi_margin", "has labels from -100 to 0, and the model has 10 classes"),
        (-100, "nll", "every label of '{}' is -100, which the loss ignores"),
        (-1, "auto", "has labels from -1 to -1, and the model has 10 classes"),
    ],
)
def test_ignored_labels_alone_or_for_another_loss_are_refused(
    tmp_path: Path, label: int, loss: str, told: str
) -> None:
    y = np.full(20, label)
    y[:10] = min(label, -100) if label != -1 else -1
    file = save(tmp_path / "d.npz", x=X, y=y)
    with pytest.raises(UsageError) as caught:
        make_run(model_target="mlp", data_name=file, train_batch_size=4, loss_name=loss)
    assert told.format(file) in caught.value.message


X = np.zeros((20, 784), dtype=np.float32)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": X}, "has no array 'y'"),
        ({"x": X, "y": np.zeros(19)}, "do not match: (20, 784) and (19,)"),
        ({"x": X[:, :5], "y": np.zeros(20, dtype=int)}, "is (20, 5), and the model takes (B, 784)"),
        ({"x": X, "y": np.full(20, 10)}, "has labels from 10 to 10, and the model has 10 classes"),
        ({"x": X, "y": np.zeros((20, 3))}, "is (20, 3), and the model gives (B, 10)"),
        ({"x": X.astype(int), "y": np.zeros(20, int)}, "is int64, and the model takes float32"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], told: str
) -> None:
    file = save(tmp_path / "d.npz", **arrays)
    with pytest.raises(UsageError) as caught:
        make_run(model_target="mlp", data_name=file, train_batch_size=4)
    assert told in caught.value.message


def test_a_file_that_is_not_there_or_damaged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not exist"):
        make_run(model_target="mlp", data_name=str(tmp_path / "gone.npz"))
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK no zip")
    with pytest.raises(UsageError, match="cannot be read"):
        make_run(model_target="mlp", data_name=str(broken))

"""The run directory: whole files, continued runs, and what a kill can and cannot take."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from training.training_runs import Silent, make_run, run_in

from modelcli.errors import CheckpointError, RunFailedError, UsageError
from modelcli.training.run_dir import RunDir, load_checkpoint, previous_name, read_metrics
from modelcli.training.session import Session

# Dropout and batch norm, so that the random state and buffers must be restored as well.
FLAGS: dict[str, object] = {
    "model_target": "autoencoder",
    "model_kwargs": {"channels": 2},
    "data_samples": 40,
    "train_batch_size": 4,
    "train_steps": 24,
    "train_checkpoint_every": 4,
    "train_log_every": 5,
}


def weights(directory: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_checkpoint(directory)
    assert checkpoint is not None
    return checkpoint.tensors


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def losses(directory: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in read_metrics(directory)]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("runs") / "unbroken"
    run_in(directory, FLAGS)
    torch.set_num_threads(threads)
    return directory


def test_a_run_leaves_its_files(unbroken: Path) -> None:
    assert {path.name for path in unbroken.iterdir()} >= {
        "config.toml",
        "metrics.jsonl",
        "model.safetensors",
        "state.pt",
    }
    assert not list(unbroken.glob("*.tmp"))
    assert [step for step, _ in losses(unbroken)] == [1, 5, 10, 15, 20, 24]


def test_the_weights_on_disk_are_the_models(tmp_path: Path) -> None:
    made, _ = run_in(tmp_path / "r", FLAGS)
    assert_same(weights(tmp_path / "r"), dict(made.subject.model.state_dict()))


@pytest.mark.parametrize("stop", [4, 8, 12, 20])
def test_a_run_continues_bit_for_bit_from_any_checkpoint(
    unbroken: Path, tmp_path: Path, stop: int
) -> None:
    directory = tmp_path / "r"
    run_in(directory, {**FLAGS, "train_steps": stop, "train_log_every": 5})
    listener = Silent()
    run_in(directory, FLAGS, resume=True, listener=listener)
    assert listener.notes == [f"continuing from step {stop}"]
    assert_same(weights(unbroken), weights(directory))
    # the last point of the shorter run is one that the longer run does not have
    kept = dict(losses(directory))
    assert {step: kept[step] for step, _ in losses(unbroken) if step > stop} == {
        step: loss for step, loss in losses(unbroken) if step > stop and step - stop >= 5
    } | {step: kept[step] for step in kept if stop < step < stop + 5}


def test_optimizers_with_a_schedule_continue_too(tmp_path: Path) -> None:
    flags = {**FLAGS, "optimizer_name": "sgd", "optimizer_momentum": 0.9, "optimizer_lr": 0.01,
             "schedule_name": "step", "schedule_step_size": 5}  # fmt: skip
    run_in(tmp_path / "a", flags)
    run_in(tmp_path / "b", {**flags, "train_steps": 8})
    run_in(tmp_path / "b", flags, resume=True)
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def in_child(directory: Path, *, resume: bool) -> int:
    """Run in a forked process, so that it can be killed; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        torch.set_num_threads(1)
        run_in(directory, LONG, resume=resume)
        os._exit(0)
    except BaseException:
        os._exit(1)


LONG = {**FLAGS, "train_steps": 1500, "train_checkpoint_every": 3, "train_log_every": 7}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_thirty_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    run_in(tmp_path / "unbroken", LONG)
    directory, chance, last_step, killed = tmp_path / "killed", random.Random(0), 0, 0
    while killed < 30:
        child = in_child(directory, resume=(directory / "config.toml").exists())
        time.sleep(chance.uniform(0.02, 0.16))  # the moment of the kill is the test's subject
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += 1
        if not (directory / "config.toml").exists():
            continue
        checkpoint = load_checkpoint(directory)  # raises if no pair of files can be read
        if checkpoint is not None:
            assert checkpoint.damaged == ()
            assert checkpoint.step >= last_step
            last_step = checkpoint.step
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
    assert killed >= 10  # or nothing was tried
    _, record = run_in(directory, LONG, resume=True)
    assert record.steps == 1500
    assert_same(weights(tmp_path / "unbroken"), weights(directory))
    assert losses(tmp_path / "unbroken") == losses(directory)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 4, len(content), 16):
        content[place] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    unbroken: Path, tmp_path: Path, name: str
) -> None:
    directory = tmp_path / "r"
    run_in(directory, {**FLAGS, "train_steps": 12})
    damage(directory / name)
    listener = Silent()
    run_in(directory, FLAGS, resume=True, listener=listener)
    assert f"'{name}' is damaged" in listener.notes[0]
    assert listener.notes[0].endswith("going on from step 8")
    assert_same(weights(unbroken), weights(directory))


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt"])
def test_a_torn_checkpoint_is_found_out(unbroken: Path, tmp_path: Path, name: str) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(unbroken, copy)
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 3])
    checkpoint = load_checkpoint(copy)
    assert checkpoint is not None
    assert checkpoint.step == 20


def test_without_any_readable_checkpoint_the_files_are_named(tmp_path: Path) -> None:
    directory = tmp_path / "r"
    run_in(directory, {**FLAGS, "train_steps": 8})
    damage(directory / "state.pt")
    damage(directory / previous_name("state.pt"))
    with pytest.raises(CheckpointError) as caught:
        run_in(directory, FLAGS, resume=True)
    assert "'state.pt' is damaged" in caught.value.message
    assert "'state.previous.pt' is damaged" in caught.value.message


def test_a_directory_in_use_is_refused_with_the_process(tmp_path: Path) -> None:
    first = RunDir(tmp_path / "r")
    try:
        with pytest.raises(UsageError) as caught:
            RunDir(tmp_path / "r")
    finally:
        first.close()
    assert caught.value.message == (
        f"run directory '{tmp_path / 'r'}' is in use by process {os.getpid()}"
    )
    RunDir(tmp_path / "r").close()  # and free again


def test_a_finished_run_is_not_overwritten(unbroken: Path) -> None:
    with pytest.raises(UsageError) as caught:
        RunDir(unbroken)
    assert caught.value.message == f"'{unbroken}' already holds a run"
    assert caught.value.hint == "continue it with --resume, or choose another --out"


def test_there_must_be_a_run_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        RunDir(tmp_path / "none", resume=True)
    assert caught.value.message == f"there is no run to resume in '{tmp_path / 'none'}'"


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the run directory"):
        RunDir(tmp_path / "file" / "run")


def test_a_full_disk_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDir(tmp_path / "r")
    model = nn.Linear(2, 2)
    directory.save(model, {}, step=1)
    kept = weights(directory.path)
    kept = {name: tensor.clone() for name, tensor in kept.items()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    with torch.no_grad():
        model.weight.zero_()
    with pytest.raises(RunFailedError) as caught:
        directory.save(model, {}, step=2)
    directory.close()
    assert caught.value.message.endswith("state.pt': No space left on device")
    assert caught.value.hint == "free some space, then continue with --resume"
    assert_same(kept, weights(directory.path))
    assert not list(directory.path.glob(".*.tmp"))


def test_a_tied_tensor_is_written_once_and_read_under_both_names(tmp_path: Path) -> None:
    from safetensors import safe_open

    directory = tmp_path / "r"
    made, _ = run_in(directory, {"model_target": "shared", "train_steps": 2})
    with safe_open(directory / "model.safetensors", framework="pt") as file:
        assert len(list(file.keys())) == 4
    assert_same(weights(directory), dict(made.subject.model.state_dict()))


def test_a_torn_line_of_metrics_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.0}]


def test_the_random_state_does_not_depend_on_how_often_was_saved(tmp_path: Path) -> None:
    run_in(tmp_path / "a", {**FLAGS, "train_checkpoint_every": 1})
    run_in(tmp_path / "b", {**FLAGS, "train_checkpoint_every": 24})
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_a_run_that_diverges_keeps_its_last_good_checkpoint(tmp_path: Path) -> None:
    made = make_run(
        model_target="mlp", optimizer_name="sgd", optimizer_lr=1e18, train_steps=50,
        train_checkpoint_every=1, train_log_every=50, train_out=str(tmp_path / "r"),
    )  # fmt: skip
    directory = RunDir(tmp_path / "r")
    with pytest.raises(RunFailedError) as caught:
        Session(made, Silent(), directory=directory).train()
    directory.close()
    kept = load_checkpoint(tmp_path / "r")
    assert kept is not None
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.tensors.values())
    assert f"the checkpoint of step {kept.step} is kept" in caught.value.hint


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends_with_its_code(tmp_path: Path, signum: int, code: int) -> None:
    out = tmp_path / "r"
    words = ["train", "mlp", "--steps", "1000000", "--out", str(out), "--device", "cpu"]
    words += ["--log-every", "20", "--samples", "256"]
    process = subprocess.Popen(
        [sys.executable, "-m", "modelcli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step"):
            break
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert stdout == ""
    last = stderr.strip().splitlines()[-2:]
    checkpoint = load_checkpoint(out)
    assert checkpoint is not None
    assert last == [
        f"error: interrupted after step {checkpoint.step} of 1000000; saved in '{out}'",
        f"hint: continue with: modelcli train --out {out} --resume",
    ]
    assert json.loads((out / "metrics.jsonl").read_text().splitlines()[0])["step"] == 1

"""The run directory: whole files, continued runs, and what a kill can and cannot take."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from training.training_runs import Silent, make_run, run_in

from modelcli.errors import CheckpointError, RunFailedError, UsageError
from modelcli.training.run.session import Session
from modelcli.training.store.checkpoint import load_checkpoint, previous_name
from modelcli.training.store.metrics import read_metrics
from modelcli.training.store.run_dir import RunDir

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
    assert_same(weights(tmp_path / "r"), dict(made.trained.model.state_dict()))


@pytest.mark.parametrize("stop", [4, 8, 12, 20])
def test_a_run_continues_bit_for_bit_from_any_checkpoint(
    unbroken: Path, tmp_path: Path, stop: int
) -> None:
    directory = tmp_path / "r"
    run_in(directory, {**FLAGS, "train_steps": stop, "train_log_every": 5})
    observer = Silent()
    run_in(directory, FLAGS, resume=True, observer=observer)
    assert observer.notes == [f"continuing from step {stop}"]
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
    expected, chance, kills, runs = weights(tmp_path / "unbroken"), random.Random(0), 0, 0
    while kills < 30:  # a run that is over before it was killed often enough is followed by one
        directory, last_step, runs = tmp_path / f"killed-{runs}", 0, runs + 1
        status = None
        while status != 0:
            child = in_child(directory, resume=(directory / "config.toml").exists())
            if kills < 30:
                time.sleep(chance.uniform(0.02, 0.16))  # the moment is the test's subject
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert status in (0, signal.SIGKILL)
            kills += status == signal.SIGKILL
            if not (directory / "config.toml").exists():
                continue
            checkpoint = load_checkpoint(directory)  # raises if no pair of files can be read
            if checkpoint is not None:
                assert checkpoint.damaged == ()
                assert checkpoint.step >= last_step
                last_step = checkpoint.step
        assert last_step == 1500
        assert_same(expected, weights(directory))
        assert losses(tmp_path / "unbroken") == losses(directory)


class Killed(BaseException):
    """The process ends here."""


def save_until(directory: Path, step: int, renames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Continue in a directory and save, but be killed before a number of renames."""
    done = 0
    rename = Path.replace

    def counted(self: Path, target: Path) -> Path:
        nonlocal done
        if done == renames:
            raise Killed
        done += 1
        return rename(self, target)

    opened = RunDir(directory, resume=True)
    monkeypatch.setattr(Path, "replace", counted)
    try:
        opened.load()
        model = nn.Linear(2, 2)
        with torch.no_grad():
            model.weight.fill_(step)
        opened.save(model, {}, step=step)
    except Killed:
        pass
    finally:
        monkeypatch.undo()
        opened.close()


@pytest.mark.parametrize("second", range(7))
@pytest.mark.parametrize("first", range(7))
def test_a_kill_between_any_two_renames_leaves_a_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, second: int
) -> None:
    (tmp_path / "config.toml").write_text("")
    for step in (1, 2):
        save_until(tmp_path, step, 99, monkeypatch)
    for renames in (first, second):
        save_until(tmp_path, 3, renames, monkeypatch)
        checkpoint = load_checkpoint(tmp_path)
        assert checkpoint is not None
        assert checkpoint.step in (2, 3)
        assert float(checkpoint.tensors["weight"][0, 0]) == checkpoint.step


def test_a_damaged_checkpoint_does_not_take_the_good_one_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "r"
    run_in(directory, {**FLAGS, "train_steps": 8})
    damage(directory / "model.safetensors")
    opened = RunDir(directory, resume=True)
    found = opened.load()
    opened.close()
    assert found is not None
    assert found.step == 4
    again = load_checkpoint(directory)
    assert again is not None
    assert again.damaged == ()  # the good pair has the present names now
    assert again.files == (directory / "model.safetensors", directory / "state.pt")


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
    observer = Silent()
    run_in(directory, FLAGS, resume=True, observer=observer)
    assert f"'{name}' is damaged" in observer.notes[0]
    assert observer.notes[0].endswith("going on from step 8")
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


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import sys; from modelcli.training.store.run_dir import RunDir; "
        "held = RunDir(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "r")]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UsageError) as caught:
            RunDir(tmp_path / "r")
        assert caught.value.message.endswith(f"is in use by process {process.pid}")
        process.kill()
    RunDir(tmp_path / "r").close()


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


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "r"
    run_in(directory, {**FLAGS, "train_steps": 8})
    (directory / name).unlink()
    observer = Silent()
    run_in(directory, {**FLAGS, "train_steps": 12}, resume=True, observer=observer)
    assert observer.notes[0] == f"'{name}' is missing; going on from step 4"


def test_a_disk_that_is_full_under_safetensors_is_told(tmp_path: Path) -> None:
    import resource

    directory = RunDir(tmp_path / "r")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(RunFailedError) as caught:
            directory.save(nn.Linear(100, 100), {}, step=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
        directory.close()
    assert caught.value.message.endswith("model.safetensors': File too large")
    assert caught.value.hint == "free some space, then continue with --resume"


def test_everyone_who_may_read_the_state_may_read_the_model(unbroken: Path) -> None:
    modes = {name: (unbroken / name).stat().st_mode for name in ("model.safetensors", "state.pt")}
    assert modes["model.safetensors"] == modes["state.pt"]


def test_a_tied_tensor_is_written_once_and_read_under_both_names(tmp_path: Path) -> None:
    from safetensors import safe_open

    directory = tmp_path / "r"
    made, _ = run_in(directory, {"model_target": "shared", "train_steps": 2})
    with safe_open(directory / "model.safetensors", framework="pt") as file:
        assert len(list(file.keys())) == 4
    assert_same(weights(directory), dict(made.trained.model.state_dict()))


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
    assert stdout.startswith("what ")  # the table of what ran
    assert stdout.rstrip().endswith(str(out))
    last = stderr.strip().splitlines()[-2:]
    checkpoint = load_checkpoint(out)
    assert checkpoint is not None
    assert last == [
        f"error: interrupted after step {checkpoint.step} of 1000000; saved in '{out}'",
        f"hint: continue with: modelcli train --out {out} --resume",
    ]
    assert json.loads((out / "metrics.jsonl").read_text().splitlines()[0])["step"] == 1


def test_a_step_that_breaks_the_weights_is_not_the_last_good_one(
    tmp_path: Path, write: Callable[[str, str], Path]
) -> None:
    path = write(
        "net.py",
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(4, 3)\n"
        "        self.taken = 0\n"
        "        self.weight.register_hook(self.spoil)\n"
        "    def spoil(self, grad):\n"
        "        self.taken += 1\n"
        "        return grad * float('nan') if self.taken == 5 else grad\n",
    )
    flags = {"model_target": f"{path}:Net", "data_input": ["1x4"], "train_checkpoint_every": 1}
    for steps in (5, 20):  # whether or not it is the last
        directory = tmp_path / f"r{steps}"
        with pytest.raises(RunFailedError) as caught:
            run_in(directory, {**flags, "train_steps": steps, "train_log_every": 20})
        kept = load_checkpoint(directory)
        assert kept is not None
        assert kept.step == 4
        assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.tensors.values())
        assert caught.value.message == (
            "the weights are not finite after step 5, though the loss before it was: "
            "'weight' is the first"
        )
        assert "the checkpoint of step 4 is kept" in caught.value.hint


def test_another_memory_format_continues_with_the_same_moments(tmp_path: Path) -> None:
    flags = {"train_steps": 12, "data_samples": 128, "train_batch_size": 16}
    run_in(tmp_path / "rows", {**flags, "train_channels_last": "off"})
    run_in(tmp_path / "mixed", {**flags, "train_steps": 6, "train_channels_last": "on"})
    run_in(tmp_path / "mixed", {**flags, "train_channels_last": "off"}, resume=True)
    rows, mixed = weights(tmp_path / "rows"), weights(tmp_path / "mixed")
    for name, tensor in rows.items():
        assert torch.allclose(tensor, mixed[name], atol=1e-4), name


def test_a_run_that_failed_before_its_first_step_blocks_nobody(
    tmp_path: Path, write: Callable[[str, str], Path]
) -> None:
    path = write(
        "net.py",
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))\n",
    )
    flags = {"model_target": f"{path}:make", "data_input": ["1x4"], "train_steps": 3}
    with pytest.raises(RunFailedError, match="step 1 of"):
        run_in(tmp_path / "r", {**flags, "train_batch_size": 1})
    assert run_in(tmp_path / "r", {**flags, "train_batch_size": 2})[1].steps == 3


def test_fewer_steps_than_were_taken_are_refused(unbroken: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(unbroken, copy)
    with pytest.raises(UsageError) as caught:
        run_in(copy, {**FLAGS, "train_steps": 20}, resume=True)
    assert caught.value.message == f"'{copy}' has taken 24 steps, and this run is one of 20"
    observer = Silent()
    run_in(copy, FLAGS, resume=True, observer=observer)
    assert observer.notes == ["finished already, at step 24; more --steps would continue it"]
    assert_same(weights(unbroken), weights(copy))


def test_a_changed_data_file_is_another_run(tmp_path: Path) -> None:
    import numpy as np

    rows = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    file, directory = tmp_path / "data.npz", tmp_path / "r"
    np.savez(file, x=rows, y=rows[:, :1])
    flags = {"model_target": "shared", "data_name": str(file), "train_batch_size": 4}
    run_in(directory, {**flags, "train_steps": 3})
    np.savez(file, x=rows, y=2 * rows[:, :1])
    with pytest.raises(UsageError, match="the checksum of its data is"):
        run_in(directory, {**flags, "train_steps": 6}, resume=True)


def test_metrics_that_are_gone_are_missed(tmp_path: Path) -> None:
    directory = tmp_path / "r"
    run_in(directory, {**FLAGS, "train_steps": 8})
    (directory / "metrics.jsonl").write_bytes(b"\xce\xff{")
    observer = Silent()
    _, record = run_in(directory, {**FLAGS, "train_steps": 12}, resume=True, observer=observer)
    assert observer.notes[0] == "metrics.jsonl is empty or damaged: the curve begins here"
    assert record.first_loss is not None
    assert [step for step, _ in losses(directory)] == [12]

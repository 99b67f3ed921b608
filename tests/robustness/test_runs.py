"""What happens to a run directory: killed, tampered with, linked elsewhere, its model edited."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from modelcli.training.run.session import Session

NET = """import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = torch.nn.Linear(4, 3)
    def forward(self, x):
        return torch.relu(self.l(x))
"""


@pytest.fixture
def trained(run, tmp_path, monkeypatch):
    """Return a run of 20 steps of a model in a file, with a checkpoint at 10 and at 20."""
    monkeypatch.chdir(tmp_path)
    Path("n.py").write_text(NET)
    words = ("n.py:Net", "--input", "1x4", "--steps", "20", "--checkpoint-every", "10")
    assert run("train", *words, "--out", "r", "-q").code == 0
    return Path("r")


def resume(run, directory, *more):
    return run("train", "--out", str(directory), "--resume", *more)


class TestTheFirstCheckpoint:
    """A kill between the renames of the first checkpoint."""

    def tear(self, directory, *kept):
        for name in ("state.previous.pt", "model.previous.safetensors"):
            (directory / name).unlink()
        for name in ("model.safetensors", "state.pt"):
            new = directory / (name if name in kept else f".{name}.tmp")
            (directory / name).rename(new)

    @pytest.mark.parametrize("kept", [(), ("model.safetensors",)])
    def test_it_is_found_under_its_temporary_names(self, run, trained, kept):
        self.tear(trained, *kept)
        result = resume(run, trained, "--steps", "30")
        assert result.code == 0
        assert "continuing from step 20" in result.err
        assert not (trained / ".state.pt.tmp").exists()
        assert resume(run, trained, "--steps", "40").code == 0  # and the next one is whole

    def test_without_a_state_the_run_starts_again(self, run, trained):
        self.tear(trained, "model.safetensors")
        (trained / ".state.pt.tmp").unlink()
        result = resume(run, trained)
        assert result.code == 0
        assert "there is no checkpoint yet: starting from the first step" in result.err


def tampered(state: dict[str, Any], chance: random.Random) -> None:
    """Change one thing in what a state holds."""
    values = [None, "x", -1, 1e400, [], {}, torch.zeros(2), 10**30, True]
    key = chance.choice(sorted(set(state) - {"step", "model_crc", "format"}))
    inner = state[key]
    if isinstance(inner, dict) and inner and chance.random() < 0.7:
        part = chance.choice(sorted(map(str, inner)))
        if chance.random() < 0.3:
            inner.pop(part, None)
        else:
            inner[part] = chance.choice(values)
    elif chance.random() < 0.3:
        del state[key]
    else:
        state[key] = chance.choice(values)


@pytest.mark.parametrize("seed", range(12))
def test_a_state_that_was_tampered_with(run, trained, seed):
    path = trained / "state.pt"
    state = torch.load(path, weights_only=True)
    tampered(state, random.Random(seed))
    torch.save(state, path)
    result = resume(run, trained, "--steps", "25", "-q")
    assert result.code in (0, 1, 2), result.err
    assert "Traceback" not in result.err
    assert (trained / "model.safetensors").exists()


@pytest.mark.parametrize("key", ["progress", "optimizer", "random", "identity"])
def test_the_pair_before_is_used(run, trained, key):
    path = trained / "state.pt"
    state = torch.load(path, weights_only=True)
    state[key] = 7
    torch.save(state, path)
    result = resume(run, trained, "--steps", "25")
    assert result.code == 0
    assert "'state.pt' is damaged" in result.err
    assert "going on from step 10" in result.err


class TestAChangedModel:
    def test_it_is_told(self, run, trained):
        Path("n.py").write_text(NET.replace("relu", "tanh"))
        result = resume(run, trained, "--steps", "30")
        result.assert_error(2, "the checksum of n.py is", "--allow-changed continues")

    def test_it_is_continued_and_recorded_where_that_is_asked_for(self, run, trained):
        Path("n.py").write_text(NET.replace("relu", "tanh"))
        result = resume(run, trained, "--steps", "30", "--allow-changed")
        assert result.code == 0
        assert "changed since step 20: the checksum of n.py is" in result.err
        (line,) = (trained / "changes.jsonl").read_text().splitlines()
        assert json.loads(line)["step"] == 20
        assert resume(run, trained, "--steps", "40").code == 0  # it is this run's own now

    def test_what_is_the_same_is_not(self, run, trained):
        assert resume(run, trained, "--steps", "30").code == 0
        assert not (trained / "changes.jsonl").exists()


@pytest.mark.parametrize(
    "name", [".owner", ".model.safetensors.tmp", ".state.pt.tmp", ".config.toml.tmp",
             ".metrics.jsonl.tmp", ".summary.json.tmp", ".lock", "metrics.jsonl", "changes.jsonl"],
)  # fmt: skip
def test_links_are_not_followed_when_a_run_writes(run, trained, name):
    Path("victim").write_text("precious\n")
    (trained / name).unlink(missing_ok=True)
    (trained / name).symlink_to("../victim")
    Path("n.py").write_text(NET.replace("relu", "tanh"))
    result = resume(run, trained, "--steps", "30", "--allow-changed", "-q")
    assert "Traceback" not in result.err
    assert Path("victim").read_text() == "precious\n"


def test_the_same_run_writes_the_same_bytes(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "abcd":
        assert run("train", "mlp", "--steps", "3", "--seed", "1", "--out", name, "-q").code == 0
    first, *others = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abcd"]
    assert all(other == first for other in others)


@pytest.mark.parametrize("there", [False, True])
def test_a_refused_run_leaves_nothing(run, tmp_path, monkeypatch, there):
    monkeypatch.chdir(tmp_path)
    if there:
        Path("deep/run").mkdir(parents=True)
        Path("deep/run/mine.txt").write_text("mine")
    before = sorted(map(str, Path().rglob("*")))
    for words in (["linear", "--input", "1x3x3"], ["linear", "--set", "nothing=1"]):
        assert run("train", *words, "--out", "deep/run").code in (1, 2)
        assert sorted(map(str, Path().rglob("*"))) == before


@pytest.fixture
def at_step_10(monkeypatch):
    """Let something happen after step 10 of a run."""

    def arrange(act):
        at = Session.at

        def stop(self, step, loop):
            at(self, step, loop)
            if step == 10:
                act()

        monkeypatch.setattr(Session, "at", stop)

    return arrange


WORDS = ("linear", "--steps", "20", "--checkpoint-every", "5", "--out", "r")


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_signals_save(run, tmp_path, monkeypatch, at_step_10, name):
    monkeypatch.chdir(tmp_path)
    number = getattr(signal, name)
    at_step_10(lambda: os.kill(os.getpid(), number))
    before = signal.signal(number, signal.SIG_DFL)  # the tests themselves may run under nohup
    try:
        result = run("train", *WORDS)
    finally:
        signal.signal(number, before)
    assert result.code == 128 + number
    assert "saved in 'r'" in result.err
    assert Path("r/state.pt").exists()


def test_nohup_is_respected(run, tmp_path, monkeypatch, at_step_10):
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    at_step_10(lambda: os.kill(os.getpid(), signal.SIGHUP))
    try:
        assert run("train", *WORDS).code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_copy_of_the_directory_elsewhere_continues(run, trained, tmp_path, monkeypatch):
    shutil.copytree(tmp_path, tmp_path.with_name("elsewhere"))
    monkeypatch.chdir(tmp_path.with_name("elsewhere"))
    assert resume(run, "r", "--steps", "30").code == 0
    assert os.getcwd().endswith("elsewhere")


def test_resuming_a_run_of_another_user_says_what_it_runs(
    run: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    from types import SimpleNamespace

    from modelcli.cli import _train_checks

    directory = str(tmp_path / "run")
    assert run("train", "linear", "--steps", "2", "--out", directory).code == 0
    words = ("train", "--out", directory, "--resume", "--steps", "3", "--dry-run")
    assert "another user" not in run(*words).err
    other = SimpleNamespace(st_uid=_train_checks.os.geteuid() + 4242)
    fake = SimpleNamespace(geteuid=os.geteuid, stat=lambda _: other, path=os.path)
    monkeypatch.setattr(_train_checks, "os", fake)
    assert "belongs to another user; resuming runs the model" in run(*words).err


@pytest.mark.parametrize("name", ["state.pt", "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_of_a_run_are_read(run, trained, name, kind):
    (trained / name).unlink()
    if kind == "pipe":
        os.mkfifo(trained / name)
    elif kind == "device":
        (trained / name).symlink_to("/dev/zero")
    else:
        (trained / name).mkdir()
    result = resume(run, trained, "--steps", "25")
    assert "Traceback" not in result.err
    if kind != "folder":  # a folder cannot be renamed over
        assert result.code == 0, result.err
        assert f"'{name}' is no regular file; going on from step 10" in result.err


def test_the_batches_of_a_step_are_drawn_one_by_one(run, tmp_path, monkeypatch):
    from modelcli.training.data.of_step import StepBatches
    from modelcli.training.data.tensors import Batches

    drawn = []
    get = Batches.__getitem__
    monkeypatch.setattr(Batches, "__getitem__", lambda self, n: drawn.append(n) or get(self, n))
    first = object.__new__(Batches)
    monkeypatch.setattr(Batches, "_pick", lambda self, n: n)
    first._data = type("D", (), {"complete": None})
    first._same = False
    step = StepBatches(first, 6, 3)
    assert len(step) == 3
    assert drawn == []
    assert (next(iter(step)), step[2], step[0:2]) == (6, 8, [6, 7])
    assert drawn == [6, 8, 6, 7]

"""Training runs that are killed: what `--resume` makes of them must be what was never killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from attack import child
from attack.report import Report

NET = """import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(6, 8)
        self.bn = torch.nn.BatchNorm1d(8)
        self.d = torch.nn.Dropout(0.3)
        self.b = torch.nn.Linear(8, 3)
        self.register_buffer("n", torch.zeros((), dtype=torch.int64))
    def forward(self, x):
        if self.training:
            self.n += 1
        return self.b(self.d(torch.relu(self.bn(self.a(x)))))
    def example_inputs(self):
        return (torch.zeros(2, 6),)
"""
_NET = ("net.py:Net", "--data", "data.npz", "--batch-size", "16")
RUNS = {
    "epochs": (*_NET, "--epochs", "8", "--checkpoint-every", "7", "--log-every", "5"),
    "schedule": (*_NET, "--steps", "180", "--optimizer", "sgd", "--momentum", "0.9", "--schedule",
                 "cosine", "--warmup", "11", "--checkpoint-every", "6", "--log-every", "4"),
    "fresh data": ("linear", "--steps", "240", "--batch-size", "16", "--checkpoint-every", "9",
                   "--log-every", "7"),
    "accumulate": ("net.py:Net", "--data", "data.safetensors", "--steps", "90", "--batch-size", "8",
                   "--accumulate", "3", "--checkpoint-every", "5", "--log-every", "3"),
    "watch and clip": (*_NET, "--epochs", "6", "--watch", "--clip", "1", "--checkpoint-every",
                       "10", "--log-every", "5"),
    "by the clock": (*_NET, "--steps", "700", "--log-every", "50"),
    "mixed precision": (*_NET, "--steps", "120", "--amp", "bf16", "--checkpoint-every", "8",
                        "--log-every", "6"),
}  # fmt: skip
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_KEYS = ("step", "loss", "accuracy", "lr", "held_out_loss", "held_out_accuracy", "epoch")
_RECORD = ("first_loss", "last_loss", "best_loss", "loss", "steps", "held_out")
RESUME = ("train", "--out", "r", "--resume", "-q")


def prepare(folder: Path) -> None:
    """Write the model and its data."""
    (folder / "net.py").write_text(NET)
    torch.manual_seed(1)
    x, y = torch.randn(400, 6), torch.randint(0, 3, (400,))
    save_file({"x": x, "y": y}, folder / "data.safetensors")
    np.savez(folder / "data.npz", x=x.numpy(), y=y.numpy())


def result(run: Path) -> dict[str, Any]:
    """Return what a finished run has learnt, measured and summed up; no times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((run / "summary.json").read_text())
    tensors = load_file(run / "model.safetensors")
    return {
        "weights": {name: tensor.numpy().tobytes() for name, tensor in tensors.items()},
        "file": (run / "model.safetensors").read_bytes(),
        "lines": [{key: line[key] for key in _KEYS if key in line} for line in lines],
        "record": {key: summary.get(key) for key in _RECORD},
    }  # fmt: skip


def differs(wanted: dict[str, Any], run: Path) -> str:
    """Return what a run differs in from another; empty if it is the same bit for bit."""
    try:
        found = result(run)
    except (OSError, ValueError) as error:
        return f"lost: {error}"
    return ", ".join(key for key, value in wanted.items() if found[key] != value)


def storm(folder: Path, count: int, seed: int, report: Report, wanted: Sequence[str] = ()) -> None:
    """Kill each run again and again until the count is reached.

    Args:
        folder: an empty one.
        count: of kills of all runs together.
        seed: of the moments and the signals.
        report: where faults are counted.
        wanted: names of `RUNS`; none means all.
    """
    prepare(folder)
    chance = random.Random(seed)
    names = [name for name in RUNS if not wanted or name in wanted]
    whole: dict[str, dict[str, Any]] = {}
    killed = dict.fromkeys(names, 0)
    by_signal = {each.name: 0 for each in SIGNALS}
    while sum(killed.values()) < count:
        name = min(names, key=lambda each: killed[each])
        if name not in whole:
            out = f"whole_{name.replace(' ', '_')}"
            ended = child.run(["train", *RUNS[name], "--out", out, "-q"], folder, home=folder)
            assert ended.code == 0, ended.err
            whole[name] = result(folder / out)
        left = min(16, count - sum(killed.values()))
        for sent in _until_done(folder, RUNS[name], left, chance, report):
            killed[name] += 1
            by_signal[sent.name] += 1
        wrong = differs(whole[name], folder / "r")
        if wrong:
            report.add(f"a killed run is another: {wrong}", name)
    print(f"kills: {sum(killed.values())}, {by_signal}, of runs {killed}")


def _until_done(
    folder: Path, words: Sequence[str], kills: int, chance: random.Random, report: Report
) -> list[signal.Signals]:
    """Start, kill and resume one run until it has finished; return the kills that hit it."""
    run, hits = folder / "r", []
    shutil.rmtree(run, ignore_errors=True)
    for _ in range(kills * 4 + 4):
        begun = (run / "config.toml").exists()
        line = RESUME if begun else ("train", *words, "--out", "r", "-q")
        started = child.start(line, folder, home=folder)
        sent = None
        if len(hits) < kills:
            sent = chance.choice(SIGNALS)
            _wait_for_a_moment(started[0], run / "metrics.jsonl", chance)
            for _ in range(chance.choice((1, 1, 1, 3))):
                os.kill(started[0], sent)  # a zombie takes it as well
        ended = child.finish(started, line, child.LONG_S)
        allowed = {0} if sent is None else {0, -sent, 128 + sent}
        found = [f for f in child.faults(ended) if "none of ours" not in f and "silence" not in f]
        found += [f"exit {ended.code} after {sent.name if sent else 'no signal'}"] * (
            ended.code not in allowed
        )
        report.count(ended, found)
        if ended.code == 0:
            return hits
        if sent is not None:
            hits.append(sent)
    report.add("a run never ends", " ".join(words))
    return hits


def _wait_for_a_moment(pid: int, metrics: Path, chance: random.Random) -> None:
    """Wait until the run writes, as a rule, and then a little longer."""
    mark = metrics.stat().st_mtime_ns if metrics.exists() else 0
    until = time.monotonic() + (15 if chance.random() < 0.9 else 0.3 * chance.random())
    while time.monotonic() < until and not _has_ended(pid):
        if metrics.exists() and metrics.stat().st_mtime_ns != mark:
            break
        time.sleep(0.004)
    time.sleep(chance.random() ** 2 * 0.25)


def _has_ended(pid: int) -> bool:
    """Tell whether a child has ended, and leave it to be waited for."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is not None


POINTS = (*_NET, "--steps", "24", "--checkpoint-every", "6", "--log-every", "4")
_CALLS = ("replace", "link", "unlink", "fsync", "chmod", "rename", "truncate")


def crash_points(folder: Path, report: Report, *, every: int = 1) -> None:
    """Die before and after every file operation of a run: its first save and the later ones.

    Args:
        folder: an empty one.
        report: where faults are counted.
        every: only each so many-th, for a quick sample.
    """
    prepare(folder)
    words = ("train", *POINTS, "--out", "r", "-q")
    ended = child.run(["train", *POINTS, "--out", "whole", "-q"], folder, home=folder)
    assert ended.code == 0, ended.err
    whole = result(folder / "whole")
    counted = folder / "count"
    child.finish(child.start(words, folder, home=folder, before=_arm(0, counted)), words, 60)
    last = int(counted.read_text())
    points = range(1, last + 1, every)
    for at in points:
        shutil.rmtree(folder / "r", ignore_errors=True)
        started = child.start(words, folder, home=folder, before=_arm(at, torn=at % 2 == 0))
        if child.finish(started, words, 60).code != -signal.SIGKILL:
            report.add("a crash point was not reached", f"{at} of {last}")
        begun = (folder / "r" / "config.toml").exists()
        for line in (("plot", "r"), RESUME if begun else words):
            ended = child.run(line, folder, home=folder)
            wrong = child.faults(ended)
            if line[0] == "train" and ended.code:
                wrong.append("it cannot be resumed")
            report.count(ended, wrong, f"after crash point {at}")
        wrong_in = differs(whole, folder / "r")
        if wrong_in:
            report.add(f"a run after a crash is another: {wrong_in}", f"crash point {at}")
        left = [path.name for path in (folder / "r").iterdir() if path.name.endswith(".tmp")]
        if left:
            report.add("temporary files are left", f"crash point {at}: {left}")
    print(f"crash points: {len(points)} of {last}")


def _arm(at: int, counted: Path | None = None, *, torn: bool = False) -> Callable[[], None]:
    """Return what makes a child die at its so many-th file operation; 0 only counts them."""

    def arm() -> None:
        from modelcli.training.store import checkpoint

        seen = 0

        def tick() -> bool:
            nonlocal seen
            seen += 1
            if counted is not None:
                counted.write_text(str(seen))
            return seen == at

        def wrapped(call: Callable[..., Any], writes: bool = False) -> Callable[..., Any]:
            def inner(*given: Any, **named: Any) -> Any:
                if not writes and not _is_of_the_run(given):
                    return call(*given, **named)
                if tick():
                    os.kill(os.getpid(), signal.SIGKILL)
                value = call(*given, **named)
                if tick():
                    if torn and writes:
                        path = str(given[1])
                        os.truncate(path, os.stat(path).st_size // 2)
                    os.kill(os.getpid(), signal.SIGKILL)
                return value

            return inner

        for name in _CALLS:
            setattr(os, name, wrapped(getattr(os, name)))
        checkpoint.save_file = wrapped(checkpoint.save_file, writes=True)  # type: ignore[assignment]
        torch.save = wrapped(torch.save, writes=True)

    return arm


def _is_of_the_run(given: Sequence[Any]) -> bool:
    return any(isinstance(each, int) or str(each) == "r" or "r/" in str(each) for each in given[:2])

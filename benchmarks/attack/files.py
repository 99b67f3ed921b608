"""Every kind of file that is read, as a stranger could have made it."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from attack import child, made_files
from attack.box import NET
from attack.report import Report

CONFIG = {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 16,
          "n_positions": 8, "architectures": ["GPT2Model"]}  # fmt: skip
TRAIN = ("train", "linear", "--steps", "20", "--log-every", "5", "--checkpoint-every", "10")
RESUME = ("train", "--out", "r", "--resume", "--steps", "25")


def nothing() -> Iterator[bytes]:
    """Give no file but the changed sound ones."""
    return iter(())


@dataclass(frozen=True)
class Group:
    """Files of one kind.

    Attributes:
        file: the name that a case has, in a folder of its own or in the run directory ``r``.
        lines: the commands that read it.
        made: files made by hand.
        share: of the cases that are sound files with some bytes changed.
        may_last: a file may describe a model of a billion layers; Ctrl-C ends it.
    """

    file: str
    lines: Sequence[Sequence[str]]
    made: Callable[[], Iterator[bytes]] = nothing
    share: float = 1.0
    may_last: bool = False


def groups(sound: Path) -> dict[str, Group]:
    """Return the kinds of files; of each a sound one lies in a folder."""
    kept = json.loads((sound / "kept.json").read_text())
    index = {"metadata": {"total_size": 16}, "weight_map": {"a.weight": "w.safetensors"}}
    step = {"step": 10, "loss": 1.0, "lr": 0.1, "accuracy": 0.5, "samples_per_s": 10.0}
    expected = '[linear]\nparams = 15\nmacs = {max = 5}\nshapes = ["1x3"]\n'
    (sound / "expect.toml").write_text(expected)
    (sound / "i.safetensors.index.json").write_text(json.dumps(index))
    (sound / "config.json").write_text(json.dumps(CONFIG))
    (sound / "net.ipynb").write_text(_notebook())
    (sound / "c.toml").write_text('[model]\ntarget = "linear"\n[train]\nsteps = 2\n')
    (sound / "net.py").write_text(NET)
    read = made_files.of_json
    return {
        "safetensors": Group(
            "w.safetensors",
            [["params", "w.safetensors", "--stats"], ["diff", "lenet", "w.safetensors"]],
            made_files.of_safetensors,
        ),
        "pt": Group(
            "w.pt", [["params", "w.pt"], ["run", "linear", "--weights", "w.pt"]],
            made_files.of_pickles, 1.5,
        ),
        "legacy": Group("old.pt", [["params", "old.pt", "--stats"]]),
        "index": Group(
            "i.safetensors.index.json", [["params", "i.safetensors.index.json"]], read(index), 0.3,
        ),
        "config.json": Group(
            "config.json", [["summary", "hf:."]], read(CONFIG), 0.3, may_last=True,
        ),
        "npz": Group(
            "d.npz",
            [["train", "linear", "--data", "d.npz", "--steps", "1"], ["params", "d.npz"],
             ["run", "linear", "--values", "d.npz"]],
            made_files.of_arrays,
        ),
        "npy": Group("v.npy", [["run", "linear", "--values", "v.npy"],
                               ["summary", "linear", "--input", "v.npy"]], share=0.5),
        "png": Group("p.png", [["run", "lenet", "--values", "p.png"]], share=0.3),
        "toml": Group("c.toml", [["summary", "c.toml"], ["train", "--config", "c.toml"]]),
        "expect": Group(
            "expect.toml",
            [["summary", "linear", "--expect", "expect.toml"],
             ["summary", "linear", "--expect", "expect.toml", "--update"]],
        ),
        "kept": Group("kept.json", [["compare", "kept.json", "--where", "params > 1"],
                                    ["compare", "kept.json", "kept.json", "-o", "o.svg"]],
                      read(kept), 0.3),
        "notebook": Group("net.ipynb", [["summary", "net.ipynb:Net"]],
                          read(json.loads(_notebook())), 0.3),
        "python": Group("net.py", [["summary", "net.py:Net"]], share=0.5),
        "metrics": Group("r/metrics.jsonl", [["plot", "r"], ["report", "linear", "--run", "r"],
                                             RESUME], read(step), 0.3),
        "summary": Group("r/summary.json", [["report", "r"], ["plot", "r"]], read(step), 0.3),
        "state": Group("r/state.pt", [RESUME], made_files.of_pickles),
        "model": Group("r/model.safetensors", [RESUME], made_files.of_safetensors, 0.5),
        "run config": Group("r/config.toml", [RESUME, ["report", "r"]], share=0.5),
    }  # fmt: skip


def _notebook() -> str:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": NET.splitlines(True)}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def write_sound(folder: Path) -> None:
    """Write a sound file of every kind that takes a library to write."""
    state = {"a.weight": torch.randn(8, 4), "a.bias": torch.zeros(8)}
    torch.save({"state_dict": state, "epoch": 1}, folder / "w.pt")
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file(state, folder / "w.safetensors", metadata={"format": "pt"})
    rows = np.random.default_rng(0).random((32, 4), dtype="f4")
    np.savez_compressed(folder / "d.npz", x=rows, y=rows[:, :3])
    np.save(folder / "v.npy", rows[:1])
    with contextlib.suppress(ImportError):
        from PIL import Image

        Image.new("L", (32, 32)).save(folder / "p.png")


def attack(
    base: Path,
    count: int,
    seed: int,
    report: Report,
    *,
    every: int = 1,
    wanted: Sequence[str] = (),
) -> None:
    """Let every file be read by its commands.

    Args:
        base: an empty folder.
        count: changed files of a kind whose share is 1; the made ones come on top.
        seed: of the changes.
        report: where faults are counted.
        every: only each so many-th file, for a quick sample.
        wanted: names of kinds; none means all.
    """
    sound, home, box = base / "sound", base / "home", base / "a" / "box"
    for folder in (sound, home, box.parent):
        folder.mkdir(parents=True)
    write_sound(sound)
    for words in ([*TRAIN, "--out", "r", "-q"], ["compare", "linear", "-o", "kept.json", "-q"]):
        ended = child.run(words, sound, home=home)
        assert ended.code == 0, ended.err
    for name, group in groups(sound).items():
        if not (sound / group.file).exists() or (wanted and name not in wanted):  # no Pillow
            continue
        chance = random.Random(f"{seed} {name}")
        raw = (sound / group.file).read_bytes()
        changed = (made_files.changed_bytes(raw, chance) for _ in range(round(count * group.share)))
        calls = report.calls
        for content in itertools.islice((*group.made(), *changed), 0, None, every):
            _one(base, box, group, content, report)
        print(f"  {name}: {report.calls - calls:,} calls")


def _one(base: Path, box: Path, group: Group, content: bytes, report: Report) -> None:
    for words in group.lines:
        shutil.copytree(base / "sound", box)
        (box / group.file).write_bytes(content)
        before = child.snapshot(base)
        ended = child.run(words, box, home=base / "home")
        changed = child.changes(before, child.snapshot(base))
        outside = [path for path in changed if not path.startswith("a/box/")]
        found = child.faults(ended, [] if words is RESUME else changed)
        found += ["a file outside was changed"] * bool(outside)
        found += ["something was executed"] * any("pwned" in path for path in changed)
        if group.may_last and ended.answered:
            found = [fault for fault in found if fault != "it takes too long"]
        report.count(ended, found, f"a {group.file} of {len(content)} bytes")
        shutil.rmtree(box)
        report.keep(content, found)

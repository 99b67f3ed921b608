"""Verdicts on runs of known outcome: how many are right.

    python benchmarks/verdicts.py                    # all cases, seeds 0, 1 and 2
    python benchmarks/verdicts.py --seeds 3 --only tokens --out found.jsonl

A case is right where its verdict is one of those that its making allows; a sound run that is called
``nothing`` is counted apart. With ``--out`` every run is a line of JSON, and what is in the file is
not run again.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from verdict_cases import FURTHER, STUDY, Case

from modelcli.config import load_config
from modelcli.training.run.ending import DivergedError
from modelcli.training.run.observer import Observer
from modelcli.training.run.prepare import prepare
from modelcli.training.run.session import Session

MODELS = Path(__file__).with_name("verdict_models.py").resolve()


def make_files() -> None:
    """Write the data that some cases read, into the current folder."""
    rng = np.random.default_rng(0)
    prototypes = rng.standard_normal((10, 784))

    def samples(labels: Any, noise: float) -> Any:
        drawn = noise * rng.standard_normal((len(labels), 784))
        return (prototypes[labels] + drawn).astype("float32")

    labels = np.arange(1024) % 10
    unrelated = rng.integers(10, size=1024)
    np.savez("random.npz", x=rng.standard_normal((1024, 784)).astype("float32"), y=unrelated)
    wrong = np.where(rng.random(1024) < 0.2, unrelated, labels)
    np.savez("noisy.npz", x=samples(labels, 3), y=wrong)
    np.savez("mixed.npz", x=samples(labels, 1), y=rng.permutation(labels))
    rare = rng.choice(10, size=2000, p=[0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0, 0, 0])
    np.savez("rare.npz", x=samples(rare, 3), y=rare)


def run_case(case: Case, seed: int) -> dict[str, Any]:
    """Return what a run came to."""
    name, target, settings, right = case
    began = time.perf_counter()
    torch.manual_seed(seed)
    if target[0].isupper():
        target = f"{MODELS}:{target}"
    flags = {"model.target": target, "train.seed": seed, "train.device": "cpu", **settings}
    resolved = load_config(flags=flags)
    try:
        record = Session(prepare(resolved.config, given=resolved.sources), Observer()).train()
    except DivergedError as error:
        record = error.record
    return {
        "name": name,
        "seed": seed,
        "verdict": record.verdict,
        "right": right,
        "gain": None if record.evidence is None else record.evidence.gain,
        "seconds": round(time.perf_counter() - began, 1),
    }


def show(found: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the result."""
    table: dict[str, collections.Counter[str]] = {}
    for each in found:
        row = table.setdefault(each["right"].split("|")[0], collections.Counter())
        row[each["verdict"]] += 1
    names = ("learned", "learning", "nothing", "diverged", "overfitted")
    lines = ["| expected (the first allowed) | " + " | ".join(names) + " |", "|---" * 6 + "|"]
    lines += [f"| {key} | " + " | ".join(str(row[n]) for n in names) + " |"
              for key, row in table.items()]  # fmt: skip
    wrong = [each for each in found if each["verdict"] not in each["right"].split("|")]
    lost = [w for w in wrong if w["verdict"] == "nothing"]
    share = 100 * (1 - len(wrong) / len(found))
    lines.append(f"{len(found) - len(wrong)} of {len(found)} right ({share:.1f} %)")
    lines.append(f"runs that learn and are called nothing: {len(lost)}")
    lines += [f"wrong: {w['name']}, seed {w['seed']}: {w['verdict']}, not {w['right']} "
              f"(gain {w['gain']})" for w in wrong]  # fmt: skip
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=(0, 1, 2))
    parser.add_argument("--only", default="", help="a part of the names of the cases to run")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    out = given.out.resolve() if given.out else None
    if out is not None and out.exists():
        found = [json.loads(line) for line in out.read_text().splitlines()]
    done = {(each["name"], each["seed"]) for each in found}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_files()
        for seed in given.seeds:
            for case in (*STUDY, *FURTHER):
                if given.only not in case[0] or (case[0], seed) in done:
                    continue
                found.append(run_case(case, seed))
                if out is not None:
                    with out.open("a") as file:
                        file.write(json.dumps(found[-1]) + "\n")
        os.chdir("/")
    print("\n".join(show(found)))


if __name__ == "__main__":
    main()

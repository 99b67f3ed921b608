"""How much two processes gain on one: samples a second by wall and by CPU time, one thread each.

    python benchmarks/scaling.py                 # lenet and mlp at a global batch of 2,048
    python benchmarks/scaling.py --processes 4 --batch-size 512

One and several processes take turns. Every run is made twice, shorter and longer, and the
difference is what its steps cost: starting and measuring fall out. On a machine with other work to
do the wall says little, and the CPU time of the busiest process is what a step would take on a core
of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from training.ranks import run_ranks

import modelcli.training.distributed.engine
import modelcli.training.run.prepare
import modelcli.training.run.session  # noqa: F401  # imported once for all processes

BARS = {"lenet": 1.6, "mlp": 1.4}
STEPS = {"lenet": (5, 25), "mlp": (50, 450)}


def measure(model: str, processes: int, batch_size: int) -> tuple[float, float]:
    """Return seconds of wall and of CPU (of the busiest process) that a step takes."""
    walls, cpus = [], []
    for steps in STEPS[model]:
        words = ["train", model, "--steps", str(steps), "--batch-size", str(batch_size), "-q",
                 "--data", "prototypes", "--samples", "4096", "--format", "json"]  # fmt: skip
        ended = run_ranks(processes, words, limit_s=600)
        failed = [each for each in ended if each.code]
        if failed:
            sys.exit(failed[0].err)
        walls.append(json.loads(ended[0].out)["elapsed_s"])
        cpus.append(max(each.cpu_s for each in ended))
    more = STEPS[model][1] - STEPS[model][0]
    return (walls[1] - walls[0]) / more, (cpus[1] - cpus[0]) / more


def main() -> None:
    """Print a table of ratios beside their bars."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print("model  processes  ms a step: wall, CPU   gain: wall, CPU   bar")
    for model, bar in BARS.items():
        found: dict[int, list[tuple[float, float]]] = {1: [], given.processes: []}
        for _ in range(given.repeats):
            for processes, runs in found.items():
                runs.append(measure(model, processes, given.batch_size))
        best = {n: [min(run[k] for run in runs) for k in (0, 1)] for n, runs in found.items()}
        gains = [
            statistics.median(
                a[k] / b[k] for a, b in zip(found[1], found[given.processes], strict=True)
            )
            for k in (0, 1)
        ]
        for n, (wall, cpu) in best.items():
            shown = "" if n == 1 else f"{gains[0]:15.2f} {gains[1]:5.2f}   {bar}"
            print(f"{model:6} {n:9} {1e3 * wall:16.2f} {1e3 * cpu:6.2f} {shown}", flush=True)


if __name__ == "__main__":
    main()

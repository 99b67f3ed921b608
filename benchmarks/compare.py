"""``modelcli compare`` over a library: failures, sums, memory, what a model costs beyond itself.

    python benchmarks/compare.py 'timm:*' --keep timm.json [--published results.csv]

The command runs in this process, with a clock round construction and the observed pass; what is
left of a model's time is ours. Times are CPU time. The parameters of every row are held against a
sum over the built model; activations and MACs, with --published, against a results file of timm
(github.com/huggingface/pytorch-image-models, results/benchmark-infer-*.csv).
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import statistics
import time
from pathlib import Path

import modelcli.comparing.sweep as sweep_module
import modelcli.observe as observe_module
from modelcli.cli import main
from modelcli.cli._startup import pause_collection

clock = time.process_time
spent = {"build": 0.0, "pass": 0.0}
sums: dict[str, int] = {}
last_model = [None]


def timed(name: str, key: str):
    inner = getattr(observe_module, name)

    def outer(*args, **kwargs):
        began = clock()
        try:
            made = inner(*args, **kwargs)
        finally:
            spent[key] += clock() - began
        if key == "build":
            last_model[0] = made[0] if isinstance(made, tuple) else made
        return made

    setattr(observe_module, name, outer)


def sweep(words: list[str]) -> tuple[int, list[tuple[str, float, float, float]]]:
    for name, key in (("build", "build"), ("build_first", "build"), ("observe_pass", "pass")):
        timed(name, key)
    measure, costs = sweep_module.measure, []

    def measured(target, options):
        spent.update({"build": 0.0, "pass": 0.0})
        last_model[0] = None
        began = clock()
        row = measure(target, options)
        whole = clock() - began
        costs.append((target, whole, spent["build"], spent["pass"]))
        if last_model[0] is not None:
            sums[target] = sum(
                p.numel() for p in {id(p): p for p in last_model[0].parameters()}.values()
            )
        if len(costs) % 100 == 0:
            print(f"{len(costs)} models, peak {peak_mb():.0f} MB", flush=True)
        return row

    sweep_module.measure = measured
    pause_collection()
    return main(words), costs


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def report(rows: list[dict], costs: list[tuple[str, float, float, float]]) -> None:
    failed = [row for row in rows if row["error"]]
    print(f"{len(rows)} rows, {len(failed)} failed, peak {peak_mb():.0f} MB")
    for row in failed:
        print(f"  {row['target']}: {row['error']}")
    wrong = [r["target"] for r in rows if r["target"] in sums and r["params"] != sums[r["target"]]]
    right = len(sums) - len(wrong)
    print(f"parameters equal to the sum over the model: {right} of {len(sums)} {wrong[:5]}")
    beyond = sorted(whole - build - run for _, whole, build, run in costs)
    if beyond:
        ms = [1e3 * value for value in beyond]
        print(
            f"beyond construction and pass, CPU ms a model: median {statistics.median(ms):.1f}, "
            f"p90 {ms[int(0.9 * len(ms))]:.1f}, largest {ms[-1]:.1f}"
        )
        for key, at in (("whole", 1), ("construction", 2), ("pass", 3)):
            print(f"  mean {key}: {1e3 * statistics.mean(c[at] for c in costs):.0f} ms")


_PUBLISHED = (("activations", "infer_macts", 1e6), ("macs", "infer_gmacs", 1e9))


def against(rows: list[dict], published: Path) -> None:
    ours = {row["target"].removeprefix("timm:"): row for row in rows if not row["error"]}
    checked, off, other_size = 0, {"activations": [], "macs": []}, 0
    for line in csv.DictReader(published.open(newline="")):
        row = ours.get(line["model"])
        if row is None or not line.get("infer_macts"):
            continue
        if row["input_shape"][-1] != int(float(line["infer_img_size"])):
            other_size += 1
            continue
        checked += 1
        for key, column, unit in (
            ("activations", "infer_macts", 1e6),
            ("macs", "infer_gmacs", 1e9),
        ):
            if abs(row[key] / unit - float(line[column])) > 0.0051:
                off[key].append((line["model"], round(row[key] / unit, 3), line[column]))
    print(f"{published.name}: {checked} models of the same image size ({other_size} of another)")
    for key, found in off.items():
        equal = checked - len(found)
        print(f"  {key}: {equal} equal to the last digit printed; others: {found[:400]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--keep", default="compare.json")
    parser.add_argument("--published", type=Path)
    parser.add_argument("--only-published", action="store_true", help="compare kept rows alone")
    given = parser.parse_args()
    costs: list[tuple[str, float, float, float]] = []
    if not given.only_published:
        code, costs = sweep(
            ["compare", *given.targets, "-o", given.keep, "--format", "tsv", "--quiet"]
        )
        print(f"exit {code}")
    kept = json.loads(Path(given.keep).read_text())["rows"]
    report(kept, costs)
    if given.published:
        against(kept, given.published)

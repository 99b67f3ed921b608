"""How long the arithmetic of feature maps takes, against `modelcli --help` and `summary`.

Every command is run in a fresh process, interleaved with the others, `--repeats` times; the median
and the ratios to reach are printed.

    python benchmarks/shapes.py --repeats 15
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

MODELCLI = [sys.executable, "-m", "modelcli"]
_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
VGG16 = [
    word
    for channels, count in _BLOCKS
    for word in [*[f"conv:{channels},k3,p1", "relu"] * count, "maxpool:2"]
] + ["adaptiveavg:7", "flatten", "linear:4096", "relu", "linear:4096", "relu", "linear:1000"]
COMMANDS = {
    "--help": [*MODELCLI, "--help"],
    "shapes --input 3x224x224 (VGG-16 as words)": [
        *MODELCLI, "shapes", "--input", "3x224x224", *VGG16,
    ],
    "shapes --solve": [
        *MODELCLI, "shapes", "--solve", "--input", "224", "--output", "112", "conv:k7",
    ],
    "summary alexnet": [*MODELCLI, "summary", "alexnet"],
    "shapes alexnet": [*MODELCLI, "shapes", "alexnet"],
    "summary lenet": [*MODELCLI, "summary", "lenet"],
    "shapes lenet": [*MODELCLI, "shapes", "lenet"],
}  # fmt: skip
# (command, reference, the ratio to reach)
BARS = (
    ("shapes --input 3x224x224 (VGG-16 as words)", "--help", 1.5),
    ("shapes --solve", "--help", 1.5),
    ("shapes alexnet", "summary alexnet", 1.05),
    ("shapes lenet", "summary lenet", 1.05),
)


def time_command(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    repeats = parser.parse_args().repeats
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for words in COMMANDS.values():
        time_command(words)  # once for the disk's cache
    for _ in range(repeats):
        for name, words in COMMANDS.items():
            seconds[name].append(time_command(words))
    print("| command | median (s) |")
    print("|---|---:|")
    for name, values in seconds.items():
        print(f"| `{name}` | {statistics.median(values):.3f} |")
    print()
    missed = 0
    for name, reference, bar in BARS:
        # pairs of one round, so that a busy moment weighs on both
        ratio = statistics.median(
            a / b for a, b in zip(seconds[name], seconds[reference], strict=True)
        )
        missed += ratio > bar
        print(
            f"{name} / {reference}: {ratio:.2f}, to reach {bar}: {'yes' if ratio <= bar else 'NO'}"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

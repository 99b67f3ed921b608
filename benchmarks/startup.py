"""How long a person waits for the first answer, against `import torch` in the same run.

Every command is run in a fresh process, interleaved with the others, `--repeats` times; the median
and its ratio to the median of `python -c "import torch"` are printed.

    python benchmarks/startup.py --repeats 15
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
MODELCLI = [sys.executable, "-m", "modelcli"]
COMMANDS = {
    "import torch": [sys.executable, "-c", "import torch"],
    "--help": [*MODELCLI, "--help"],
    "list": [*MODELCLI, "list"],
    "unknown model": [*MODELCLI, "summary", "lent"],
    "summary lenet": [*MODELCLI, "summary", "lenet"],
    "train lenet --steps 1": [*MODELCLI, "train", "lenet", "--steps", "1", "--device", "cpu"],
    "hand-written step": [sys.executable, str(HERE / "handwritten.py")],
}
# (command, reference, the ratio to reach)
BARS = (
    ("--help", "import torch", 0.25),
    ("list", "import torch", 0.25),
    ("unknown model", "import torch", 0.25),
    ("summary lenet", "import torch", 1.2),
    ("train lenet --steps 1", "hand-written step", 1.0),
)


def time_command(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
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
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians["import torch"]
    print("| command | median (s) | against `import torch` |")
    print("|---|---:|---:|")
    for name, median in medians.items():
        print(f"| `{name}` | {median:.3f} | {median / base:.2f} |")
    print()
    missed = 0
    for name, reference, bar in BARS:
        # pairs of one round, so that a busy moment weighs on both
        ratio = statistics.median(
            a / b for a, b in zip(seconds[name], seconds[reference], strict=True)
        )
        reached = ratio <= bar
        missed += not reached
        print(f"{name} / {reference}: {ratio:.2f}, to reach {bar}: {'yes' if reached else 'NO'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Ctrl-C, TERM and HUP at random moments of every command."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from attack import child
from attack.report import Report

DEEP = """import torch
def Net():
    return torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(3000)))
"""
_NET = ("net.py:Net", "--input", "1x8")
LINES: Sequence[Sequence[str]] = (
    ("summary", *_NET),
    ("graph", *_NET, "-o", "g.svg", "--force", "--no-fold"),
    ("params", "net.py:Net", "--stats"),
    ("shapes", "alexnet", "--prove"),
    ("check", "alexnet"),
    ("diff", "net.py:Net", "net.py:Net", "--values"),
    ("compare", "net.py:Net", "lenet", "mlp", "alexnet", "-o", "rows.json", "--peak"),
    ("run", *_NET, "--layers"),
    ("run", *_NET, "--loss", "mse", "--target", "zeros", "--backward"),
    ("memory", *_NET, "--what-if"),
    ("time", "lenet", "--runs", "100000"),
    ("time", *_NET, "--by", "layer", "--runs", "30", "-o", "t.svg", "--force"),
    ("plan", *_NET, "--what-if"),
    ("report", *_NET, "-o", "r.html", "--force"),
    ("train", "mlp", "--steps", "100000", "-q"),
    ("list", "timm"),
)
SIGNALS = (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def attack(folder: Path, count: int, seed: int, report: Report) -> None:
    """Send each command so many signals, one a call.

    Args:
        folder: an empty one.
        count: of calls of each command.
        seed: of the moments and the signals.
        report: where faults are counted.
    """
    (folder / "net.py").write_text(DEEP)
    chance = random.Random(seed)
    for line in LINES:
        for _ in range(count):
            started = child.start(line, folder, home=folder)
            time.sleep(chance.random() ** 2 * 4)
            sent = chance.choice(SIGNALS)
            os.kill(started[0], sent)  # a child that has ended is not waited for yet
            answer = child.finish(started, line, child.LIMIT_S)
            allowed = {0, 1, -sent, 128 + sent}
            found = [
                fault
                for fault in child.faults(answer)
                if "none of ours" not in fault and "silence" not in fault
            ]
            if answer.code not in allowed:
                found.append(f"exit {answer.code} after {sent.name}")
            if answer.seconds > child.ANSWER_S:
                found.append(f"{sent.name} is answered after more than a second")
            if any(path.suffix in (".part", ".tmp") for path in folder.iterdir()):
                found.append("a temporary file is left")
            report.count(answer, found)

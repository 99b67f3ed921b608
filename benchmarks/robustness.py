"""Campaigns against the command line: does anything break, run that should not, or get lost?

    python benchmarks/robustness.py [words] [files] [kills] [points] [interrupts] [streams] ...

words    malformed command lines of every command, in a folder full of hostile files
files    every kind of file that is read, with values, lengths or bytes changed
kills    training runs hit by KILL, TERM, INT and HUP at random moments, and resumed
points   the same, dead before and after each file operation of the first and the later saves
interrupts  Ctrl-C, TERM and HUP at random moments of every command, answered within a second
streams  broken environments and closed, full or abandoned streams, in processes of their own

Each command line runs in a child forked from one warm process, with a limit of 20 s and 3 GB. A
fault is a traceback, a signal, an exit code that is none of ours, a failure in silence, an error
of more than six lines or with output beside it, a hang, more memory, a file changed that should
not be, anything named ``pwned`` (something was executed), a terminal escape passed on, or a run
that is lost or another after it was killed. Exits 1 if there is one. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

from attack import box, child, files, interrupts, kills, streams
from attack.report import Report
from attack.words import Lines, read_commands

CAMPAIGNS = ("words", "files", "kills", "points", "interrupts", "streams")


def main() -> int:
    """Run the campaigns that are asked for, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", help=", ".join(CAMPAIGNS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=4000, help="command lines of words")
    parser.add_argument("--skip", type=int, default=0, help="of them, run by an earlier call")
    parser.add_argument("--only", action="append", default=[], help="a command of words")
    parser.add_argument("--changed", type=int, default=40, help="changed files a kind")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--signals", type=int, default=20, help="of interrupts, for each command")
    parser.add_argument("--every", type=int, default=1, help="each so many-th file and point")
    parser.add_argument("--group", action="append", default=[], help="a kind of file")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of words: stop then")
    parser.add_argument("--keep", type=Path, help="a folder for files that made a fault")
    given = parser.parse_args()
    wanted = given.campaigns or list(CAMPAIGNS)
    if unknown := set(wanted) - set(CAMPAIGNS):
        parser.error(f"no campaign {', '.join(unknown)}; there are {', '.join(CAMPAIGNS)}")
    child.warm()
    faulty = 0
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="robust", ignore_cleanup_errors=True) as folder:
            report = Report(name, given.keep)
            _CAMPAIGNS[name](Path(folder), given, report)
            faulty += report.print()
    return 1 if faulty else 0


def _words(base: Path, given: argparse.Namespace, report: Report) -> None:
    commands = read_commands()
    commands = {name: commands[name] for name in given.only or commands}
    words_campaign(
        base, Lines(given.seed, commands), given.calls, report, given.skip, given.seconds
    )


def words_campaign(
    base: Path, lines: Lines, count: int, report: Report, skip: int = 0, seconds: float = 1e9
) -> None:
    """Run so many command lines, each in a folder as it was before the first.

    Args:
        base: an empty folder.
        lines: what is typed.
        count: of command lines, those that are skipped included.
        report: where faults are counted.
        skip: so many are not run.
        seconds: after which no further one is started.
    """
    began, home, sandbox = time.monotonic(), base / "home", base / "a" / "box"
    home.mkdir()
    (base / "first").mkdir()
    kept = ["compare", "lenet", "mlp", "-o", "kept.json", "-q"]
    child.run(kept, base / "first", home=home)
    rows = (base / "first" / "kept.json").read_bytes()
    box.fill(sandbox, rows)
    before = child.snapshot(base)
    for number in range(count):
        words = lines.next()
        if number < skip:
            continue
        if time.monotonic() - began > seconds:
            print(f"stopped before command line {number}")
            break
        ended = child.run(words, sandbox, home=home)
        changed = child.changes(before, child.snapshot(base))
        report.count(ended, child.faults(ended, changed))
        if changed:
            shutil.rmtree(base / "a", ignore_errors=True)
            box.fill(sandbox, rows)
            before = child.snapshot(base)


_CAMPAIGNS = {
    "words": _words,
    "files": lambda base, given, report: files.attack(
        base, given.changed, given.seed, report, every=given.every, wanted=given.group
    ),
    "kills": lambda base, given, report: kills.storm(base, given.kills, given.seed, report),
    "points": lambda base, given, report: kills.crash_points(base, report, every=given.every),
    "interrupts": lambda base, given, report: interrupts.attack(
        base, given.signals, given.seed, report
    ),
    "streams": lambda base, given, report: streams.attack(base, report),
}

if __name__ == "__main__":
    sys.exit(main())

"""A quick sample of the campaigns in benchmarks/, and whether they would see what goes wrong."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    "words",
    [
        ("words", "--calls", "30"),
        ("files", "--changed", "2", "--every", "60"),
        ("kills", "--kills", "4"),
        ("points", "--every", "40"),
    ],
    ids=lambda words: words[0],
)
def test_a_sample_finds_no_fault(words):
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "robustness.py"), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 with a fault" in done.stdout


@pytest.fixture
def attack(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("attack.child")


GOOD = {"words": ("x",), "code": 0, "out": "y", "err": "", "seconds": 1.0, "rss": 0, "hung": False}
TRACEBACK = 'Traceback (most recent call last):\n  File "a/modelcli/b.py", line 3\nValueError: x'
ENDS = [
    ({}, ""),
    ({"code": 2, "out": "", "err": "error: a\nhint: b\n"}, ""),
    ({"err": TRACEBACK}, "a traceback"),
    ({"code": -11, "err": "x"}, "an exit code of none of ours"),
    ({"code": 1, "out": ""}, "it failed in silence"),
    ({"code": 2, "err": "x\n" * 7, "out": ""}, "more than six lines"),
    ({"code": 2, "err": "x"}, "output beside an error"),
    ({"err": "x" * 2001}, "a line above 2,000 characters"),
    ({"out": "\x1b[31mRED"}, "a terminal escape passed on"),
    ({"hung": True, "code": 130, "err": "x"}, "it takes too long"),
    ({"answered": False, "err": "x"}, "it does not answer Ctrl-C"),
    ({"rss": 1 << 32}, "more than 3 GB"),
]


@pytest.mark.parametrize(("change", "fault"), ENDS, ids=[fault or "none" for _, fault in ENDS])
def test_what_goes_wrong_is_seen(attack, change, fault):
    ended = attack.Ended(**{**GOOD, **change})
    assert attack.faults(ended) == [fault] * bool(fault)
    assert not fault or fault in attack.kind_of(fault, ended)


def test_changed_files_are_seen(attack, tmp_path):
    before = attack.snapshot(tmp_path)
    (tmp_path / "pwned").write_text("")
    changed = attack.changes(before, attack.snapshot(tmp_path))
    assert changed == ["pwned"]
    refused = attack.Ended(**{**GOOD, "code": 2, "out": "", "err": "error: x"})
    found = ["files changed beside an error", "something was executed"]
    assert attack.faults(refused, changed) == found


def test_the_same_seed_gives_the_same_lines(attack):
    words = importlib.import_module("attack.words")
    commands = words.read_commands()
    first, again, other = (words.Lines(seed, commands) for seed in (1, 1, 2))
    lines = [first.next() for _ in range(200)]
    assert lines == [again.next() for _ in range(200)]
    assert lines != [other.next() for _ in range(200)]
    assert {line[0] for line in lines if line} >= set(commands)

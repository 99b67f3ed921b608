"""What a file prints while it is imported is folded, and an import that takes long is noticed."""

from __future__ import annotations

import sys

import pytest

from modelcli.loading import script

LINEAR = "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self):\n"
LINEAR += "        super().__init__(4, 2)\n\n\n"


@pytest.mark.parametrize("command", ["summary", "params", "check", "run"])
def test_many_lines_are_one_that_counts_them(run, write, command):
    path = write("net.py", LINEAR + "for n in range(22):\n    print('epoch', n)\n")
    result = run(command, f"{path}:Net")
    assert "note: net.py printed 22 lines (-v shows them)" in result.err
    assert "epoch" not in result.err + result.out
    shown = run(command, f"{path}:Net", "-v")
    assert "epoch 21" in shown.err
    assert "epoch" not in shown.out


def test_a_few_lines_are_shown_as_they_are(run, write):
    path = write("net.py", LINEAR + "print('hello')\n")
    result = run("summary", f"{path}:Net")
    assert "hello" in result.err.splitlines()
    assert "hello" not in result.out


def test_after_an_error_the_lines_are_shown(run, write):
    path = write("net.py", "for n in range(9):\n    print('epoch', n)\nraise ValueError('no')\n")
    result = run("summary", f"{path}:Net")
    assert result.code == 2
    assert "epoch 8" in result.err
    assert result.err.splitlines()[-2].startswith("error: ")


def test_an_import_that_takes_long_is_noticed(run, write, monkeypatch):
    monkeypatch.setattr(script, "_SLOW_S", 0.0)
    waits = (
        "import threading\n[t.join() for t in threading.enumerate() if hasattr(t, 'function')]\n"
    )
    path = write("net.py", waits + LINEAR)
    result = run("summary", f"{path}:Net")
    assert result.code == 0
    told = [line for line in result.err.splitlines() if "has been running" in line]
    assert len(told) == 1
    assert told[0].startswith("note: 'net.py' has been running for 0 s: does it train when it is")
    assert sys.stdout is not None

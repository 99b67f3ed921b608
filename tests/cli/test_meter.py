"""The meter of long readings: a bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
from modelcli.cli import _meter
from modelcli.cli._output import Output

_meter._FIRST_AFTER_S = 0.0
with _meter.Meter(Output("params"), 2000) as meter:
    meter.add(500)
    meter.add(500)
"""


def test_nothing_is_written_in_a_pipe() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert done.stdout == b""
    assert done.stderr == b""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_a_terminal_shows_the_share_and_is_left_clean() -> None:
    import pty

    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=follower, stderr=follower, check=True,
        env=environment,
    )  # fmt: skip
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "50%" in shown
    assert "1.0/2.0 kB" in shown
    assert shown.rstrip("\r\n").endswith("\x1b[2K")

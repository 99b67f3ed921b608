"""The process as a shell sees it: pipes, signals, streams and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MODELCLI = [sys.executable, "-m", "modelcli"]


def _run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MODELCLI, *words], capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


def test_params_in_a_pipe_is_uncoloured_and_untruncated() -> None:
    done = subprocess.run(
        f"{sys.executable} -m modelcli params mlp | head -3",
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "20", "FORCE_COLOR": "1"},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert "hidden.weight" in lines[1]
    assert "200,704" in lines[1]
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_a_closed_pipe_is_no_traceback() -> None:
    process = subprocess.Popen(
        [*MODELCLI, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    assert process.wait() == 141  # 128 + SIGPIPE, as of any program in a pipe
    assert errors == ""


def test_ctrl_c_ends_in_two_lines_and_130(tmp_path: Path) -> None:
    waits = tmp_path / "waits.py"
    waits.write_text(
        "import os, signal\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "def make():\n"
        "    raise AssertionError('not reached')\n"
    )
    # a shell starts its background jobs with SIGINT ignored, and children inherit that
    default = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    done = _run("summary", f"{waits}:make", preexec_fn=default)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == "error: interrupted"
    assert len(done.stderr.splitlines()) == 2


def test_list_as_json_is_json() -> None:
    done = _run("list", "--format", "json")
    assert len(json.loads(done.stdout)["models"]) == 18


def test_unwritable_output_is_an_error() -> None:
    if not Path("/dev/full").exists():
        pytest.fail("this test needs /dev/full")
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([*MODELCLI, "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("error: the output cannot be written")
    assert len(done.stderr.splitlines()) == 2


def test_console_script_is_the_module() -> None:
    script = Path(sys.executable).with_name("modelcli")
    done = subprocess.run([str(script), "--version"], capture_output=True, text=True)
    assert done.stdout == _run("--version").stdout

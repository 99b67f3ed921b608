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
        env={**os.environ, "COLUMNS": "20"},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert "hidden.weight" in lines[1]
    assert "200,704" in lines[1]
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_forced_colours_leave_nothing_out(more: dict[str, str], coloured: bool) -> None:
    done = _run("list", env={**os.environ, "COLUMNS": "20", "FORCE_COLOR": "1", **more})
    assert ("\x1b[1m" in done.stdout) is coloured
    assert "left out" not in done.stdout
    assert _run("nope", env={**os.environ, "FORCE_COLOR": "1", **more}).stderr.startswith(
        "\x1b[1;31merror: " if coloured else "error: "
    )


def _in_shell(words: str, streams: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m modelcli {words} {streams}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True)


CLOSED = [
    "error: the output cannot be written: stdout is closed",
    "hint: leave '>&-' out",
]


@pytest.mark.parametrize("words", ["list", "--help", "nope", "train linear --steps 2 --out run"])
def test_nothing_is_done_where_stdout_is_closed(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = _in_shell(words, ">&-")
    assert (done.returncode, done.stderr.splitlines()) == (2, CLOSED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["list", "--help", "list --format json"])
def test_a_full_disk_under_stdout_is_two_lines(words: str) -> None:
    done = _in_shell(words, ">/dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: the output cannot be written: No space left on device",
        "hint: is the disk full, or read-only?",
    ]


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "2> >(exec true)", "<&- 2>&-"])
def test_a_run_does_not_need_stderr(streams: str) -> None:
    done = _in_shell("train linear --steps 2 --device cpu", streams)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 steps of" in done.stdout
    assert _in_shell("nope", streams).returncode == 2


def test_a_file_does_not_take_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    source = (
        "import os, torch\nos.write(2, b'from C')\n"
        "class Net(torch.nn.Linear):\n  def __init__(self): super().__init__(2, 2)\n"
    )
    (tmp_path / "net.py").write_text(source)
    done = _in_shell(f"summary {tmp_path}/net.py:Net --input 1x2 --format json", "2>&- <&-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["totals"]["params"] == 6


@pytest.mark.parametrize(
    ("locale", "bar"),
    [({"PYTHONIOENCODING": "ascii"}, "#" * 16), ({"PYTHONIOENCODING": "utf-8"}, "█" * 16)],
)
def test_a_narrow_encoding_draws_with_ascii(locale: dict[str, str], bar: str) -> None:
    done = _run("params", "mlp", "--group", "1", env={**os.environ, **locale}, encoding="utf-8")
    assert bar in done.stdout
    assert "?" not in done.stdout


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


def test_a_torch_that_cannot_be_imported_is_told_in_two_lines(tmp_path: Path) -> None:
    done = _run("summary", "lenet", env={**os.environ, "TORCH_LOGS": "nope"})
    assert done.returncode == 3
    said, hint = done.stderr.splitlines()
    assert said.startswith(
        "error: torch cannot be imported: ValueError: Invalid log settings: nope"
    )
    assert hint.startswith("hint: 'python -c \"import torch\"' shows more; the environment sets ")
    assert "TORCH_LOGS" in hint
    (tmp_path / "torch").mkdir()
    broken = tmp_path / "torch" / "__init__.py"
    broken.write_text("raise OSError('libcudart.so.12: cannot open shared object file')\n")
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    done = _run("env", env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 3
    assert done.stderr.splitlines()[0] == (
        "error: torch cannot be imported: OSError: libcudart.so.12: cannot open shared object file"
    )

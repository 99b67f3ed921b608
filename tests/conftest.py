"""What the tests share: running a command as a user would, and models in files of their own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelcli.cli import main

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach for the network
# Two processes of two threads each on two cores spend their time waiting for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Result:
    """What one command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def assert_error(self, code: int, message: str, hint: str = "") -> None:
        """Check an expected error: its two lines, its code and an empty stdout."""
        lines = self.err.strip().splitlines()
        assert self.code == code, self.err
        assert self.out == ""
        assert len(lines) == 2, self.err
        assert lines[0].startswith("error: ")
        assert message in lines[0]
        assert lines[1].startswith("hint: ")
        assert hint in lines[1]

    def assert_told(self, code: int = 2) -> None:
        """Check that a mistake was told in lines of a sane length, and nothing was printed."""
        lines = self.err.splitlines()
        assert self.code == code, self.err
        assert lines[0].startswith("error: ")
        assert "Traceback" not in self.err
        assert max(map(len, lines)) < 2000
        assert self.out == ""


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command line in this process: ``run("summary", "lenet")``."""

    def run_words(*words: str) -> Result:
        code = main(list(words))
        captured = capsys.readouterr()
        return Result(code=code, out=captured.out, err=captured.err)

    return run_words


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file into the test's own folder: ``write("net.py", source)``."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.fixture(autouse=True)
def _forget_the_modules_of_a_test(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Drop what a test imported from a folder of its own: another test may use the same name."""
    yield
    folder = str(tmp_path_factory.getbasetemp())
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(folder):
            del sys.modules[name]

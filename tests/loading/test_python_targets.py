"""Python targets as people have them: in classes, dicts, packages, notebooks, scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.fc = nn.Linear(width, 4)
    @classmethod
    def from_name(cls, name="small"):
        return cls({"small": 8, "large": 32}[name])
    def forward(self, x):
        return self.fc(x)
class Zoo:
    class Small(Net):
        @classmethod
        def wide(cls):
            return cls(64)
MODELS = {"small": Net, "a:b": Net(8), "nested": {"deep": Net}}
LISTED = [Net]
"""


def params(run: Run, *words: str) -> int:
    result = run("params", *words, "--format", "json")
    assert result.code == 0, result.err
    total = result.json["totals"]["params"]
    assert isinstance(total, int)
    return total


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("Net.from_name", 36),
        ("Zoo.Small", 68),
        ("Zoo.Small.wide", 260),
        ('MODELS["small"]', 68),
        ("MODELS[small]", 68),
        ("MODELS['a:b']", 36),
        ("MODELS[nested][deep]", 68),
        ("LISTED[0]", 68),
    ],
)
def test_a_name_may_lead_into_something(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int
):
    (tmp_path / "net_of_names.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    assert params(run, f"net_of_names.py:{name}") == count
    assert params(run, f"net_of_names:{name}") == count


def test_arguments_go_to_what_is_named(run: Run, tmp_path: Path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    assert params(run, f"{path}:Net.from_name", "--set", "name=large") == 132
    run("summary", f"{path}:Net.from_name", "--set", "size=large").assert_error(
        2, "takes no argument 'size'", "it takes name"
    )


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("Zoo.Smal", "has no 'Smal'", "did you mean 'Small'?"),
        ("MODELS[smal]", "has no 'smal'", "did you mean 'small'?"),
        ("LISTED[3]", "has no '3'", "it has 0"),
        ("Net.from_nam", "has no 'from_nam'", "did you mean 'from_name'?"),
        ("Net..x", "is not a name", "write"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    run: Run, tmp_path: Path, name: str, message: str, hint: str
):
    path = tmp_path / "net.py"
    path.write_text(NET)
    run("summary", f"{path}:{name}").assert_error(2, message, hint)


def test_a_file_of_a_package_is_imported_as_part_of_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "pack_of_nets"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "__init__.py").write_text("")
    (package / "base.py").write_text(NET)
    (package / "inner" / "net.py").write_text("from ..base import Net\nclass Own(Net): pass\n")
    assert params(run, f"{package}/inner/net.py:Own") == 68
    monkeypatch.chdir(package / "inner")
    assert params(run, "net.py:Own") == 68


def test_the_repository_and_the_current_folder_are_where_imports_start(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "helpers_of_repo").mkdir()
    (tmp_path / "helpers_of_repo" / "widths.py").write_text("WIDTH = 3\n")
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "repo_net.py"
    file.write_text(
        "from helpers_of_repo.widths import WIDTH\n"
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self): super().__init__(WIDTH, 4)\n"
    )
    assert params(run, f"{file}:Net") == 16
    (tmp_path / "pyproject.toml").unlink()
    monkeypatch.chdir(tmp_path)
    assert params(run, "models/repo_net.py:Net") == 16


def test_the_path_of_imports_is_left_as_it_was(run: Run, tmp_path: Path):
    import sys

    path = tmp_path / "net.py"
    path.write_text(NET)
    before = list(sys.path)
    params(run, f"{path}:Net")
    assert sys.path == before


def test_a_notebook_gives_its_classes_and_runs_nothing(run: Run, tmp_path: Path):
    cells = [
        {"cell_type": "markdown", "source": ["# A title"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install x\n", NET]},
        {"cell_type": "code", "source": ["WIDTH = 5\n", "raise SystemExit('it trains')\n"]},
        {"cell_type": "code", "source": "open('never.txt', 'w')\nclass Wide(Net):\n"
         "    def __init__(self): super().__init__(WIDTH)\n"},
    ]  # fmt: skip
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert params(run, f"{path}:Wide") == 24
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": "class ("}]}))
    run("summary", f"{path}:Net").assert_error(2, "code cell 1", "nbconvert --to script")
    path.write_text("no json")
    run("summary", f"{path}:Net").assert_error(2, "not a notebook", "nbconvert --to script")


def test_a_script_finds_its_arguments_behind_two_dashes(run: Run, tmp_path: Path):
    path = tmp_path / "script_with_parser.py"
    path.write_text(
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--width', type=int, required=True)\n"
        "width = parser.parse_args().width\n" + NET + "def make(): return Net(width)\n"
    )
    result = run("summary", f"{path}:make", "--format", "json", "--", "--width", "3")
    assert result.code == 0, result.err
    assert result.json["totals"]["params"] == 16
    result = run("summary", f"{path}:make")
    assert result.code == 2
    assert "guard that with __main__" in result.err
    assert "-- --flag value" in result.err

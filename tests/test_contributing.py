"""Four recipes of CONTRIBUTING.md, followed to the letter in a package of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def recipe(title: str) -> tuple[str, str, str]:
    """Return the file name, the code and the entry points of one recipe."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", section, flags=re.DOTALL)
    return code.splitlines()[0].removeprefix("# "), code, toml


def install(folder: Path, title: str) -> None:
    """Leave a recipe's package as pip would: the module, and what its pyproject.toml says."""
    name, code, toml = recipe(title)
    (folder / name).write_text(code, encoding="utf-8")
    info = folder / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    group, line = re.fullmatch(r'\[project\.entry-points\."(.*)"\]\n(.*)\n', toml).groups()  # type: ignore[union-attr]
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")


def modelcli(folder: Path, *words: str) -> tuple[int, Any]:
    """Run a command in a process that has the folder on its path; return its code and JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "modelcli", *words, "--format", "json"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_check_rule(tmp_path: Path) -> None:
    install(tmp_path, "A check rule")
    head = "from torch import nn\n"
    for name, code in (("wrong", "nn.Linear(4, 3)"), ("right", "nn.Linear(4, 9)")):
        assert f'"Net = lambda: {code}"' in PAGE
        (tmp_path / f"{name}.py").write_text(f"{head}def Net():\n    return {code}\n")
    words = ("--input", "2x4", "--select", "ACME")
    code, said = modelcli(tmp_path, "check", "wrong.py:Net", *words, "--strict")
    assert [(each["rule"], each["message"]) for each in said["findings"]] == [
        ("ACME101", "only 3 wide")
    ]
    assert code == 1
    code, said = modelcli(tmp_path, "check", "right.py:Net", *words)
    assert (code, said["findings"], said["rules_run"]) == (0, [], ["ACME101"])


def test_the_provider_of_models(tmp_path: Path) -> None:
    install(tmp_path, "A provider of models")
    _, said = modelcli(tmp_path, "list", "acme")
    assert [model["target"] for model in said["models"]] == ["acme:large", "acme:small"]
    code, said = modelcli(tmp_path, "summary", "acme:small", "--set", "width=5")
    assert (code, said["totals"]["params"]) == (0, 5 * 3 + 5 + 2 * 5 + 2)


def test_the_optimiser_of_another_package(tmp_path: Path) -> None:
    section = PAGE.partition("\n## An optimiser of another package\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    (words,) = re.findall(r"^`modelcli (.*)`$", section, flags=re.MULTILINE)
    (tmp_path / code.splitlines()[0].removeprefix("# ")).write_text(code, encoding="utf-8")
    exit_code, said = modelcli(tmp_path, *words.split(), "--device", "cpu")
    assert (exit_code, said["steps"]) == (0, 200)
    assert said["loss"]["last"] < said["loss"]["first"]


def test_the_synthetic_data_set_is_one_file(tmp_path: Path) -> None:
    section = PAGE.partition("\n## A synthetic data set\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    (words,) = re.findall(r"`modelcli (train [^`]*)`", section)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "modelcli", tmp_path / "modelcli", ignore=ignored)
    (tmp_path / code.splitlines()[0].removeprefix("# ")).write_text(code, encoding="utf-8")
    exit_code, said = modelcli(tmp_path, *words.split(), "--steps", "3", "--device", "cpu")
    assert (exit_code, said["steps"], said["data"]["name"]) == (0, 3, "parity")
    assert said["data"]["description"] == "even or odd"


@pytest.mark.parametrize("section", PAGE.split("\n## ")[1:], ids=lambda text: text.split("\n")[0])
def test_a_recipe_has_at_most_ten_lines_of_code(section: str) -> None:
    for block in re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL):
        assert len([line for line in block.splitlines() if line.strip()]) <= 10

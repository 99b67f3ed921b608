"""Every example of the README and of the help runs, and the captures are real."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from modelcli.cli import main
from modelcli.cli._commands import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _captures() -> list[tuple[str, str]]:
    blocks = re.findall(r"```console\n\$ modelcli (.*?)\n(.*?)```", README, re.DOTALL)
    return [(words, shown) for words, shown in blocks]


def _examples() -> list[str]:
    indented = re.findall(r"^    modelcli (.*)$", README, re.MULTILINE)
    helps = [
        example.removeprefix("modelcli ")
        for command in COMMANDS
        for example in importlib.import_module(f"modelcli.cli.{command}").EXAMPLES
    ]
    return list(dict.fromkeys(indented + helps))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples name, made once; three short runs among them."""
    import torch
    from safetensors.torch import save_file

    from modelcli.models.lenet import LeNet

    folder = tmp_path_factory.mktemp("files")
    (folder / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "                         nn.Linear(8, 10))\n"
    )
    state = LeNet().state_dict()
    for name in ("checkpoint", "weights"):
        torch.save(state, folder / f"{name}.pt")
    for name in ("old", "new", "model", "a", "b"):
        save_file(state, folder / f"{name}.safetensors")
    result = {"schema": "modelcli.compare/1", "rows": [{"target": "lenet", "params": 61_706}]}
    for name in ("before", "after", "resnets"):
        (folder / f"{name}.json").write_text(json.dumps(result))
    (folder / "DIR").mkdir()
    config = {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 50}
    (folder / "DIR" / "config.json").write_text(json.dumps(config))
    for name in ("lenet", "a", "b"):
        run_dir = str(folder / "runs" / name)
        assert main(["train", "lenet", "--steps", "2", "--device", "cpu", "--out", run_dir]) == 0
    return folder


@pytest.fixture
def workplace(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize(("words", "shown"), _captures(), ids=[c[0] for c in _captures()])
def test_captures_are_what_the_command_prints(run, workplace: Path, words: str, shown: str) -> None:
    result = run(*shlex.split(words))
    assert result.code == 0, result.err
    printed = [line.rstrip() for line in result.out.splitlines()]
    expected = [line.rstrip() for line in shown.splitlines()]
    if expected[-1] == "...":
        expected.pop()
        printed = printed[: len(expected)]
    assert printed == expected


@pytest.mark.parametrize("words", _examples())
def test_examples_run(run, workplace: Path, words: str) -> None:
    import torch

    result = run(*shlex.split(words))
    if "--device cuda" in words and not torch.cuda.is_available():
        result.assert_error(3, "'cuda' is not available")
        return
    if words.split()[0] in ("diff", "check"):  # files differ, something was found
        assert result.code in (0, 1), result.err
    else:
        assert result.code == 0, result.err
    writes = "--out" in words or " -o " in words
    assert result.out or "github" in words or writes  # findings, or a file


def test_the_code_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (code,) = (block for block in blocks if "import modelcli" in block)  # not those for data
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    values = []
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Expr):
            values.append(eval(ast.unparse(statement), names))
        else:
            exec(ast.unparse(statement), names)
    (params, macs), convolutions, field, findings, identical, mlp, mean, latency, *ends = values
    loss, *_saved = ends
    assert (params, macs) == (61_706, 416_520)
    assert convolutions == 156 + 2_416
    assert field == (16, 16)
    assert isinstance(findings, tuple)
    assert identical is True
    assert mlp == 203_264
    assert abs(mean) < 1
    assert 0 < latency < 10
    assert 0 < loss < 5
    assert (tmp_path / "mine.svg").read_text(encoding="utf-8").startswith("<svg")


def test_readme_has_the_two_commands() -> None:
    commands = re.findall(r"^ *(python3 -m venv \.venv && .*)$", README, re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith(".venv/bin/modelcli summary lenet")
    assert commands[1].endswith(".venv/bin/python -m pytest")


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()

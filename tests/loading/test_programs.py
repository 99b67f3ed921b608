"""Programs in files, which the word before the colon says are trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from conftest import Run
from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
        pooled: Tensor = self.fc(self.conv(x).mean((2, 3)))
        return pooled * scale


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "net.pt2"
    program = torch.export.export(Net(), (torch.rand(2, 3, 8, 8),), {"scale": torch.ones(2)})
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "net.pt"
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    torch.jit.save(torch.jit.trace(layers, torch.rand(1, 3, 8, 8)), str(path))
    return path


def test_a_program_runs_on_what_it_was_exported_with(run: Run, exported: Path):
    body = run("summary", f"export:{exported}", "--format", "json").json
    assert [(i["name"], i["shape"], i["origin"]) for i in body["inputs"]] == [
        ("x", [2, 3, 8, 8], "exported with"), ("scale", [2], "exported with")
    ]  # fmt: skip
    assert body["totals"]["params"] == 4 * 27 + 4 + 4 * 2 + 2
    assert body["totals"]["macs"] == 2 * 36 * 4 * 27 + 2 * 4 * 2
    assert body["coverage"]["complete"] is True


def test_a_scripted_module(run: Run, scripted: Path):
    body = run("summary", f"script:{scripted}", "--input", "1x3x8x8", "--format", "json").json
    assert body["totals"]["params"] == 4 * 27 + 4
    assert body["totals"]["macs"] == 36 * 4 * 27


def test_neither_is_loaded_for_its_suffix(run: Run, exported: Path, monkeypatch):
    def load(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("it was loaded")

    monkeypatch.setattr(torch.export, "load", load)
    run("summary", str(exported)).assert_error(
        2, "is a program of torch.export", f"if you trust it, name export:{exported}"
    )


def test_a_program_is_told_by_its_content(
    run: Run, exported: Path, scripted: Path, tmp_path: Path
) -> None:
    for file, kind, other, words in (
        (scripted, "script", "export", "TorchScript"),
        (exported, "export", "script", "torch.export"),
    ):
        plain = tmp_path / f"{kind}.pth"
        plain.write_bytes(file.read_bytes())
        run("check", str(plain)).assert_error(
            2, f"is a program of {words}", f"if you trust it, name {kind}:{plain}"
        )
        run("summary", f"{other}:{plain}").assert_error(
            2, f"is a program of {words}", f"name {kind}:{plain}"
        )


@pytest.mark.parametrize("kind", ["export", "script"])
def test_what_is_no_program(run: Run, kind: str, tmp_path: Path):
    text, archive = tmp_path / "text.pt2", tmp_path / "other.zip"
    text.write_text("a text")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "b")
    saved = f"torch.{'export' if kind == 'export' else 'jit'}.save"
    run("summary", f"{kind}:{text}").assert_error(2, "is no program of torch", saved)
    run("summary", f"{kind}:{archive}").assert_error(2, "holds no program", saved)
    run("summary", f"{kind}:{tmp_path}/none.pt2").assert_error(2, "does not exist")
    run("summary", "none.pt2").assert_error(2, "file 'none.pt2' does not exist")
    run("list", kind).assert_error(2, f"{kind} has no list of models", f"{kind}:PATH")


def test_it_takes_no_arguments(run: Run, exported: Path):
    run("summary", f"export:{exported}", "--set", "width=3").assert_error(
        2, "is built already: it takes no 'width'", "anew"
    )

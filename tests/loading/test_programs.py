"""Programs in files, which the word before the colon says are trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from torch import Tensor, nn

import modelcli
from modelcli.loading.grammar import make_request
from modelcli.loading.source import Source
from modelcli.observe import observe


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


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
        y: Tensor = self.fc(x) * scale
        return y


class Dict(Both):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        y: Tensor = self.fc(batch["x"])
        return y


def exported_module(model: nn.Module, *args: Any, **how: Any) -> nn.Module:
    return torch.export.export(model, args, **how).module()


def test_a_graph_in_code_runs_on_what_it_was_exported_with() -> None:
    rows = {"x": {0: torch.export.Dim("rows")}, "scale": {0: torch.export.Dim("rows")}}
    module = exported_module(
        Both(), torch.rand(3, 8), kwargs={"scale": torch.ones(3, 4)}, dynamic_shapes=rows
    )
    trace = observe(Source(label="net", instance=module))
    assert [(i.name, i.shape, i.origin) for i in trace.inputs] == [
        ("x", (3, 8), "exported with"), ("scale", (3, 4), "exported with")
    ]  # fmt: skip
    assert (trace.failure, trace.totals.macs) == (None, 96)


def test_a_graph_is_called_with_places_keywords_and_plain_dicts() -> None:
    module = exported_module(Both(), torch.rand(3, 8), kwargs={"scale": torch.ones(3, 4)})
    given = make_request(["x:3x8", "scale:3x4"])
    trace = observe(Source(label="net", instance=module), given)
    assert (trace.failure, trace.totals.macs) == (None, 96)
    module = exported_module(Dict(), {"x": torch.rand(3, 8)})
    trace = observe(Source(label="net", instance=module), make_request(["batch.x:3x8"]))
    assert (trace.failure, trace.totals.macs) == (None, 96)


def test_the_code_of_a_part_is_no_hidden_layer() -> None:
    program = torch.export.export(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), (torch.rand(2, 8),))
    report = modelcli.check(torch.export.unflatten(program), torch.rand(2, 8))
    assert not [finding for finding in report.findings if finding.rule == "MC101"]

"""``modelcli report``: the file, what it says of it, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelcli


def data_of(file: Path) -> Any:
    text = file.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def test_a_page_is_written_and_told(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "lenet.html"
    result = run("report", "lenet", "-o", str(file), "--format", "json")
    assert result.code == 0
    document = result.json
    assert document["schema"] == "modelcli.report/1"
    assert document["file_bytes"] == file.stat().st_size
    names = [section["section"] for section in document["sections"]]
    assert names == ["graph", "layers", "feature maps", "memory", "check"]
    assert document["error"] is None
    data = data_of(file)
    assert data["title"] == "LeNet"
    assert [row[0] for row in data["rows"][:2]] == ["", "conv1"]
    assert sum(row[7] for row in data["rows"]) == 61_706  # what each row holds itself
    assert data["tiles"][0][:2] == ["Parameters", "61.706 k"]


def test_the_name_is_the_targets(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("report", "lenet", "--no-check", "-q").code == 0
    assert data_of(tmp_path / "lenet.html")["check"] is None
    assert run("report", "lenet", "--no-check", "-q").code == 0  # our own is replaced


def test_two_pages_of_one_model_are_equal_byte_for_byte() -> None:
    pages = {modelcli.report("lenet").to_html() for _ in range(2)}
    assert len(pages) == 1


def test_runs_are_drawn(run: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        lines = [{"step": n, "loss": 1.0 / n} for n in (1, 2)]
        (tmp_path / name / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    file = tmp_path / "page.html"
    words = ["--run", str(tmp_path / "a"), "--run", str(tmp_path / "b"), "--title", "Two runs"]
    assert run("report", "lenet", "--no-check", "-o", str(file), *words).code == 0
    data = data_of(file)
    assert data["title"] == "Two runs"
    assert [found["name"] for found in data["training"]["runs"]] == ["a", "b"]
    assert len(data["training"]["charts"]) == 1  # neither has an accuracy


def test_what_is_not_counted_is_named(run: Any, write: Callable[..., Path], tmp_path: Path) -> None:
    net = write(
        "net.py",
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n"
        "    def forward(self, x):\n        return torch.linalg.svdvals(x)\n",
    )
    file = tmp_path / "page.html"
    words = ["--input", "1x4x4", "--no-check", "-o", str(file)]
    assert run("report", f"{net}:Net", *words).code == 0
    banner = next(each for each in data_of(file)["banners"] if each["kind"] == "warn")
    assert "lower bounds" in banner["title"]
    assert "svd" in banner["lines"][0]
    assert data_of(file)["tiles"][1][1].startswith("≥ ")


def test_a_failed_forward_leaves_a_page_and_ends_with_1(
    run: Any, write: Callable[..., Path], tmp_path: Path
) -> None:
    net = write(
        "net.py",
        "from torch import nn\nNet = nn.Sequential(nn.Linear(4, 8), nn.Linear(4, 2))\n",
    )
    file = tmp_path / "page.html"
    result = run("report", f"{net}:Net", "--input", "1x4", "-o", str(file))
    assert result.code == 1
    assert "error: forward failed in '1' (Linear)" in result.err
    assert data_of(file)["banners"][0]["kind"] == "wrong"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["-o", "page.htm"], "report writes .html, not 'page.htm'", "page.html"),
        (["-o", "no/such/page.html"], "cannot write 'no/such/page.html'", "another --out"),
        (["--run", "nowhere"], "'nowhere' is no run directory", "train --out DIR"),
        (["-o", "mine.html"], "'mine.html' exists and was not drawn by modelcli", "--force"),
    ],
)
def test_a_mistake_is_told(
    run: Any, tmp_path: Path, monkeypatch: Any, words: list[str], message: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    run("report", "lenet", *words).assert_error(2, message, hint)
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"

"""Names of a stranger's layers, runs and results in pages, pictures and tables are text."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

NAMES = {
    "script": "<script>alert(1)</script>",
    "end of a script": "</script><script>alert(1)</script>",
    "end of a text": "</text><script>alert(1)</script>",
    "end of a comment": "--><script>alert(1)</script>",
    "attribute": '" onmouseover=alert(1) x="',
    "other attribute": "' onmouseover=alert(1) x='",
    "image": "<img src=x onerror=alert(1)>",
    "escape": "\x1b[31mRED\x1b[0m",
    "newline": "a\nFAKE 1 2 3",
    "direction": "\u202egnp",
    "dot": 'a"];evil[label="x',
    "mermaid": 'a"]\nclick x call alert()',
    "cell": 'a,"b\t|c',
}
NET = """import torch
T = {name!r}
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self._modules[T] = torch.nn.Linear(2, 2)
    def forward(self, x):
        return self._modules[T](x)
    def example_inputs(self):
        return (torch.zeros(1, 2),)
Net.__name__ = T
class Bad(Net):
    def forward(self, x):
        raise ValueError(T)
"""


class Active(HTMLParser):
    """Finds what a browser would run: our own scripts are known by not calling alert."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.in_script = [], False

    def handle_starttag(self, tag, attrs):
        self.in_script = tag == "script"
        for key, value in attrs:
            runs = key[:2] == "on" and value == "alert(1)"
            if runs or (value or "").startswith("javascript:"):
                self.found.append((tag, key))

    def handle_data(self, data):
        if self.in_script and data.strip() == "alert(1)":
            self.found.append(("script", data))
        self.in_script = False


@pytest.fixture(params=NAMES, ids=lambda label: label.replace(" ", "_"))
def name(request, tmp_path, monkeypatch):
    """Return a hostile name that a model, a run and a kept comparison in this folder have."""
    text = NAMES[request.param]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(NET.format(name=text))
    (tmp_path / "r").mkdir()
    steps = [{"step": step, "loss": 1.0 / step, text: 2.0} for step in (1, 2)]
    (tmp_path / "r/metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in steps))
    (tmp_path / "r/config.toml").write_text(f"[model]\ntarget = {json.dumps(text)}\n")
    (tmp_path / "r/summary.json").write_text(json.dumps({"verdict": text, "steps": 2}))
    return text


def keep(run, tmp_path, name):
    assert run("compare", "linear", "-o", "kept.json", "-q").code == 0
    kept = json.loads((tmp_path / "kept.json").read_text())
    kept["rows"] = [
        {"target": name, "params": 3, "macs": 4, "uncounted": [name]},
        {"target": "b", "params": 1, "macs": 2},
        {"target": f"c{name}", "error": name},
    ]
    (tmp_path / "kept.json").write_text(json.dumps(kept))


def assert_harmless(result, *files):
    for text in (result.out, result.err, *(file.read_text() for file in files)):
        assert not set(text) & set("\x1b\u202e")
        assert not any(line.startswith(("FAKE", "click x")) for line in text.splitlines())
    assert "Traceback" not in result.err
    for file in files:
        text = file.read_text()
        if file.suffix == ".svg":
            ElementTree.fromstring(text)
        if file.suffix in (".svg", ".html"):
            page = Active()
            page.feed(text)
            assert page.found == []
        if file.suffix == ".csv":
            assert len({len(row) for row in csv.reader(text.splitlines())}) == 1
        if file.suffix == ".dot":
            assert '"];evil[label' not in text.replace('\\"', "")


@pytest.mark.parametrize("suffix", ["svg", "html", "dot", "mmd"])
def test_graphs(run, tmp_path, name, suffix):
    file = tmp_path / f"g.{suffix}"
    result = run("graph", "m.py:Net", "-o", file.name)
    assert result.code == 0
    assert_harmless(result, file)


def test_reports_and_curves(run, tmp_path, name):
    page, curve = tmp_path / "o.html", tmp_path / "o.svg"
    result = run("report", "m.py:Net", "--run", "r", "--title", name, "-o", page.name, "--no-check")
    assert result.code == 0
    assert_harmless(result, page)
    result = run("plot", "r", "-o", curve.name)
    assert result.code == 0
    assert_harmless(result, curve)


def test_comparisons(run, tmp_path, name):
    keep(run, tmp_path, name)
    files = [tmp_path / f"o.{suffix}" for suffix in ("svg", "html", "csv", "md")]
    result = run("compare", "kept.json", *(word for file in files for word in ("-o", file.name)))
    assert result.code in (0, 1)
    assert_harmless(result, *files)
    for form in ("tsv", "md", "jsonl"):
        assert_harmless(run("compare", "kept.json", "--format", form))


def test_tables(run, tmp_path, name):
    picture = tmp_path / "m.svg"
    result = run("memory", "m.py:Net", "--by", "layer", "-o", picture.name)
    assert result.code == 0
    assert_harmless(result, picture)
    pytest.importorskip("torchinfo")
    assert_harmless(run("summary", "m.py:Net", "--style", "torchinfo"))
    for words in (["run", "m.py:Net", "--layers"], ["plan", "m.py:Net"], ["run", "m.py:Bad"],
                  ["plan", "m.py:Bad"], ["memory", "m.py:Bad"], ["graph", "m.py:Bad"]):  # fmt: skip
        assert_harmless(run(*words))
    for words in (["run", "m.py:Net", "--layers"], ["memory", "m.py:Net", "--by", "layer"]):
        rows = run(*words, "--format", "tsv").out.splitlines()
        assert len({row.count("\t") for row in rows}) == 1

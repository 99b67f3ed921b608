"""Names that lead to no file, to a folder, or to something that only looks like a file of ours."""

from __future__ import annotations

import json
import os

import pytest

from modelcli.errors import ModelcliError
from modelcli.ledger.rates import parse_bandwidth, parse_flops
from modelcli.ledger.sizes import parse_bytes, parse_memory

LONG = "a" * 5000  # no file system has such a name, and asking for it is an error of its own

LONG_NAMES = [
    ["summary", "lenet", "--expect", LONG],
    ["summary", "lenet", "--expect", f"{LONG}.toml", "--update"],
    ["summary", "lenet", "--input", f"{LONG}.npy"],
    ["summary", "lenet", "--input-from", f"{LONG}.py:f"],
    [LONG, "plan", "lenet"],
    [f"{LONG}.pt"],
    ["params", f"{LONG}.pt"],
    ["params", f"{LONG}.safetensors.index.json"],
    ["plot", LONG],
    ["compare", f"{LONG}.json"],
    ["compare", LONG],
    ["compare", "lenet", "--output", f"{LONG}.json"],
    ["report", LONG],
    ["report", "lenet", "--run", LONG],
    ["report", "lenet", "--out", f"{LONG}.html"],
    ["run", "lenet", "--values", f"{LONG}.npy"],
    ["run", "lenet", "--weights", f"{LONG}.pt"],
    ["diff", "lenet", f"{LONG}.pt"],
    ["diff", "mlp", "mlp", "--emit-map", LONG],
    ["graph", "lenet", "--out", f"{LONG}.svg"],
    ["memory", "lenet", "--out", f"{LONG}.svg"],
    ["time", "lenet", "--out", f"{LONG}.svg"],
    ["time", "lenet", "--trace", f"{LONG}.json"],
    ["shapes", "lenet", "--picture", f"{LONG}.svg"],
    ["train", "lenet", "--data", f"{LONG}.npz"],
    ["train", "--config", LONG],
    ["train", "lenet", "--steps", "1", "--out", LONG],
    ["train", "--resume", "--out", LONG],
]


@pytest.mark.parametrize("words", LONG_NAMES, ids=lambda w: " ".join(w).replace(LONG, "LONG"))
def test_names_that_are_too_long(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    run(*words).assert_told()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["plot", "r"], ["report", "lenet", "--run", "r"]])
def test_a_folder_in_the_place_of_the_metrics(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r/metrics.jsonl").mkdir(parents=True)
    result = run(*words)
    result.assert_told()
    assert "'r/metrics.jsonl' cannot be read: Is a directory" in result.err


WRITTEN = [
    ["diff", "linear", "linear", "--emit-map"],
    ["graph", "linear", "--out"],
    ["memory", "linear", "--out"],
    ["time", "linear", "--out"],
    ["time", "linear", "--trace"],
    ["compare", "linear", "--output"],
    ["report", "linear", "--out"],
    ["shapes", "lenet", "--picture"],
    ["summary", "linear", "--update", "--expect"],
]


@pytest.mark.parametrize("words", WRITTEN, ids=" ".join)
def test_a_pipe_or_a_device_where_a_file_is_to_be_written(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    suffixes = {"--trace": "json", "--emit-map": "json", "--expect": "toml"}
    suffix = suffixes.get(words[-1], {"compare": "json", "report": "html"}.get(words[0], "svg"))
    os.mkfifo(f"pipe.{suffix}")  # to open one for writing waits for a reader
    os.symlink("/dev/full", f"full.{suffix}")
    for name, kind in (("pipe", "a pipe"), ("full", "a device")):
        result = run(*words, f"{name}.{suffix}")
        result.assert_told()
        assert f"'{name}.{suffix}' is {kind}" in result.err
        assert result.out == ""
        assert ("what it gives" in result.err) is (words[0] == "summary")  # read first
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"full.{suffix}", f"pipe.{suffix}"]


def test_a_run_directory_whose_name_is_no_text(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("train", "linear", "--steps", "1", "--out", "r\udcff")
    result.assert_told()
    assert "is not UTF-8" in result.err
    assert list(tmp_path.iterdir()) == []


TEXTS = ["[" * 100_000, "x = " + "[" * 100_000, "a = " + "9" * 5000, "\udcff", "9" * 5000]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:5])
def test_files_of_ours_that_are_none(run, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    for name in ("a.toml", "a.json", "a.ipynb", "pyproject.toml"):
        (tmp_path / name).write_text(text, errors="surrogateescape")
    run("summary", "lenet", "--expect", "a.toml").assert_told()
    run("summary", "lenet", "--expect", "a.toml", "--update").assert_told()
    run("compare", "a.json").assert_told()
    run("summary", "a.ipynb:Net").assert_told()
    run("check", "lenet").assert_told()


ROW = {"target": "a", "params": 1, "macs": 2}
ROWS = [
    {"params": float("nan")},
    {"macs": float("inf")},
    {"macs": int("9" * 400)},
    {"macs": -1},
    {"macs": [1]},
    {"error": 3},
    {"uncounted": [1]},
    {"uncounted": "x"},
    {"input_shape": "1x3"},
    {"input_shape": [1.5]},
    {"target": 3},
]


@pytest.mark.parametrize("change", ROWS, ids=lambda change: str(change)[:30])
def test_comparisons_with_values_that_cannot_be(run, tmp_path, change):
    result = tmp_path / "kept.json"
    assert run("compare", "linear", "-o", str(result), "-q").code == 0
    document = json.loads(result.read_text())
    assert run("compare", str(result)).code == 0
    document["rows"] = [{**ROW, **change}]
    result.write_text(json.dumps(document))
    told = run("compare", str(result))
    told.assert_told()
    assert "is no comparison" in told.err


@pytest.mark.parametrize("text", ["9" * 402, "9" * 300 + "GB", "9" * 402 + "TiB", "-1"])
def test_sizes_beyond_every_memory(text):
    for parse in (parse_memory, parse_bytes):
        with pytest.raises(ModelcliError, match="is no size"):
            parse(text)


@pytest.mark.parametrize("digits", ["9" * 400, "1e308", "1e400", "0"])
def test_rates_beyond_every_device(digits):
    with pytest.raises(ModelcliError, match="is no rate"):
        parse_bandwidth(f"{digits}GB")
    with pytest.raises(ModelcliError, match="no number of operations"):
        parse_flops(f"{digits}T")


NET = """import torch
class Net(torch.nn.Module):
    def __init__(self, weights=None):
        super().__init__()
        self.l = torch.nn.Linear(2, 2)
    def forward(self, x):
        return self.l(x)
"""


def test_a_value_with_a_dot_imports_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # as python -m has it
    (tmp_path / "evil.py").write_text("open('pwned', 'w')")
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "c.toml").write_text('[model]\ntarget = "lenet"\nnum_classes = "evil.x"\n')
    assert run("summary", "net.py:Net", "--input", "1x2", "--set", "weights=evil.pt").code == 0
    run("summary", "c.toml").assert_told()
    assert not (tmp_path / "pwned").exists()


def test_a_dotted_name_that_leads_nowhere_is_told(run):
    words = ("summary", "torch.nn:Linear", "--set", "in_features=torch.nothing")
    run(*words).assert_error(2, "'torch' has no 'nothing'", "quote a text twice")

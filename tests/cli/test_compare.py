"""``modelcli compare``: tables, files, interruptions and mistakes."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_row_a_model_with_what_summary_says(run) -> None:
    rows = run("compare", "lenet", "mlp", "--format", "json").json["rows"]
    assert [row["target"] for row in rows] == ["lenet", "mlp"]
    totals = run("summary", "lenet", "--format", "json").json["totals"]
    assert all(rows[0][key] == totals[key] for key in ("params", "param_bytes", "macs", "flops"))
    # 6x28x28 and 16x10x10 of the convolutions, 120 + 84 + 10 of the layers behind
    assert rows[0]["activations"] == 6 * 28 * 28 + 16 * 10 * 10 + 120 + 84 + 10
    assert rows[0]["activation_bytes"] == 4 * rows[0]["activations"]
    assert rows[0]["receptive_field"] is None


def test_rows_are_filtered_sorted_and_cut(run) -> None:
    words = ("compare", "lenet", "mlp", "linear", "perceptron", "--columns", "macs",
             "--where", "macs > 100", "--sort", "macs")  # fmt: skip
    assert run(*words, "--format", "tsv").out.splitlines() == [
        "target\tmacs", "lenet\t416520", "mlp\t203264"
    ]  # fmt: skip
    lines = run(*words, "--top", "1").out.splitlines()
    assert lines[1].split() == ["lenet", "416.520", "k"]
    assert "1 of 4 models" in lines


def test_what_is_only_worked_out_on_request_is_asked_for_by_its_name(run) -> None:
    words = ("compare", "lenet", "--columns", "receptive_field", "--format", "tsv")
    assert run(*words).out.splitlines() == ["target\treceptive_field", "lenet\t14"]


def test_peak_and_time_are_those_of_their_commands(run) -> None:
    words = ("compare", "lenet", "--columns", "peak_bytes", "--time", "--format", "json")
    (row,) = run(*words).json["rows"]
    memory = run("memory", "lenet", "--mode", "eval", "--format", "json").json
    assert row["peak_bytes"] == memory["eval"]["peak_bytes"]
    assert 0 < row["latency_s"] < 10
    result = run("compare", "lenet", "mlp", "--sort", "latency_s", "--jobs", "2")
    result.assert_error(2, "--time with --jobs 2", "leave --jobs out")


def test_results_are_kept_drawn_and_read_again(run, here: Path) -> None:
    files = ["r.json", "r.csv", "r.md", "r.svg", "r.html", "r.png"]
    words = [word for name in files for word in ("-o", name)]
    result = run("compare", "lenet", "mlp", "linear", "--where", "params < 1M", *words)
    assert result.code == 0, result.err
    assert not list(here.glob("*.part*"))
    document = json.loads((here / "r.json").read_text())
    assert document["schema"] == "modelcli.compare/1"
    assert [row["target"] for row in document["rows"]] == ["lenet", "mlp", "linear"]
    with (here / "r.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["macs"] == "416520"
    assert (here / "r.md").read_text().startswith("| target |")
    root = ET.fromstring((here / "r.svg").read_text())
    circles = root.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3
    assert "<svg" in (here / "r.html").read_text()
    again = run("compare", "r.json", "--format", "json").json["rows"]
    assert again == document["rows"]


def test_an_interrupted_sweep_goes_on_and_gives_the_same(
    run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelcli.comparing import sweep as module

    names = ("lenet", "mlp", "linear")
    assert run("compare", *names, "-o", "whole.json").code == 0
    measure, seen = module.measure, []

    def interrupted(target, options):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(target)
        return measure(target, options)

    monkeypatch.setattr(module, "measure", interrupted)
    result = run("compare", *names, "-o", "r.json")
    assert (result.code, result.out) == (130, "")
    assert "2 of 3 rows are kept" in result.err
    assert not (here / "r.json").exists()
    monkeypatch.setattr(module, "measure", lambda t, o: seen.append(t) or measure(t, o))
    result = run("compare", *names, "-o", "r.csv", "-o", "r.json")  # the order is another
    assert "2 of 3 rows are there from before" in result.err
    assert seen == list(names)
    rows = [json.loads((here / name).read_text())["rows"] for name in ("r.json", "whole.json")]
    assert rows[0] == rows[1]
    run("compare", *names, "-o", "other.json.part.jsonl").assert_error(2, "compare writes .json")


def test_lines_come_as_they_are_measured(run) -> None:
    lines = run("compare", "lenet", "mlp", "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["params"] for line in lines] == [61_706, 203_530]


def test_what_changed_between_two_results(run, here: Path) -> None:
    run("compare", "mlp", "lenet", "-o", "a.json")
    run("compare", "mlp", "lenet", "--set", "hidden_features=512", "-o", "b.json")
    result = run("compare", "a.json", "b.json", "--format", "json")
    assert result.code == 1
    told = {(c["target"], c["column"]): (c["a"], c["b"]) for c in result.json["changed"]}
    assert told["mlp", "params"] == (203_530, 407_050)
    assert told["lenet", "error"][0] is None
    assert run("compare", "a.json", "a.json").code == 0


def test_a_model_that_fails_is_a_row_and_one_that_was_named_a_failure(run, here: Path) -> None:
    (here / "net.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n"
        "    def forward(self, x): raise ValueError('no')\n"
    )
    result = run("compare", "lenet", "net.py:Net", "--input", "1x1x32x32")
    assert result.code == 1
    assert "net.py:Net" in result.out
    assert "ValueError: no" in result.out
    assert "2 models, 1 failed" in result.out
    assert result.err.splitlines()[-2] == "error: 'net.py:Net' failed: ValueError: no"


@pytest.mark.parametrize(
    ("words", "told", "hint"),
    [
        (["lent"], "unknown model 'lent'", "did you mean 'lenet'"),
        (["timm:nope*"], "no model of timm matches", ""),
        (["lenet", "--where", "params <"], "--where 'params <'", "allowed are target, params"),
        (["lenet", "--columns", "parms"], "no column 'parms'", "did you mean 'params'"),
        (["lenet", "--sort", "error"], "'error' has no order", "sort by target, params"),
        (["lenet", "--axes", "macs"], "names 1 column", "give two"),
        (["lenet", "-o", "x.txt"], "compare writes .json", "name it"),
        (["nope.json"], "'nope.json' does not exist", "-o FILE.json"),
        (["lenet", "--input", "1xq"], "1xq", ""),
        (["lenet", "--jobs", "0"], "0", ""),
    ],
)
def test_mistakes_are_told_in_two_lines(run, words: list[str], told: str, hint: str) -> None:
    run("compare", *words).assert_error(2, told, hint)


def test_a_file_of_somebody_else_is_not_overwritten(run, here: Path) -> None:
    (here / "x.json").write_text("{}")
    run("compare", "lenet", "-o", "x.json").assert_error(
        2, "exists and was not drawn by modelcli", "--force"
    )
    assert (here / "x.json").read_text() == "{}"
    assert run("compare", "lenet", "-o", "x.json", "--force").code == 0
    assert run("compare", "lenet", "-o", "x.json").code == 0  # ours now


def test_tensors_are_compared_by_diff(run, here: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(2)}, here / "a.safetensors")
    run("compare", "a.safetensors").assert_error(2, "is a checkpoint", "modelcli diff")

"""Many models: what is kept, what goes on, what happens to a model that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcli.comparing.changes import compare_results
from modelcli.comparing.kept import Kept, read_result
from modelcli.comparing.options import MeasureOptions
from modelcli.comparing.row import ModelRow
from modelcli.comparing.sweep import sweep
from modelcli.comparing.targets import expand
from modelcli.errors import UsageError

DEADLY = """
import os
from torch import nn

class Dies(nn.Module):
    def __init__(self):
        os._exit(7)

class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
    def forward(self, x):
        raise ValueError("no luck\\nwith this one")
"""


def test_rows_are_kept_as_they_come_and_a_torn_line_is_not(tmp_path: Path) -> None:
    path = tmp_path / "r.json.part.jsonl"
    rows = [ModelRow(target=f"m{i}", params=i, input_shape=(1, i)) for i in range(3)]
    with Kept(path=path, options={"batch_size": 1}) as kept:
        for row in rows:
            kept.add(row)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])  # as SIGKILL may leave it
    with Kept(path=path, options={"batch_size": 1}) as kept:
        assert kept.rows == {"m0": rows[0], "m1": rows[1]}
        kept.add(rows[2])
    assert path.read_bytes() == whole


def test_another_sweep_is_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "r.part.jsonl"
    with Kept(path=path, options={"batch_size": 1}):
        pass
    with (
        pytest.raises(UsageError, match="batch_size was 1, now 2"),
        Kept(path=path, options={"batch_size": 2}),
    ):
        pass
    path.write_text("something else\n")
    with pytest.raises(UsageError, match="no unfinished comparison"), Kept(path=path, options={}):
        pass
    assert path.read_text() == "something else\n"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "modelcli.params/1", "rows": []}',
             '{"schema": "modelcli.compare/1", "rows": [{"target": 3}]}',
             '{"schema": "modelcli.compare/1", "rows": [{"target": "m", "params": "many"}]}']
)  # fmt: skip
def test_a_file_that_is_no_result_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no comparison"):
        read_result(str(path))


def test_a_model_that_fails_is_a_row_and_one_that_ends_its_process_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.py").write_text(DEADLY)
    monkeypatch.chdir(tmp_path)
    targets = ["linear", "bad.py:Dies", "bad.py:Raises", "lenet"]
    rows = {row.target: row for row in sweep(targets, MeasureOptions(inputs=("1x4",)), jobs=2)}
    assert rows.keys() == set(targets)
    assert rows["bad.py:Dies"].error == "the process that measured it died"
    assert rows["bad.py:Raises"].error == "ValueError: no luck"
    assert rows["bad.py:Raises"].params == 20
    assert rows["linear"].macs == 12
    assert "1x4" in str(rows["lenet"].error) or rows["lenet"].error


def test_patterns_name_models_in_their_order_and_each_once() -> None:
    found = expand(["lenet", "*-dense", "torchvision:resnet1*", "lenet"])
    assert found[:3] == ["lenet", "list-dense", "dict-dense"]
    assert found[3:] == [f"torchvision:resnet{n}" for n in (101, 152, 18)]
    assert expand(["*-dense", "lenet"], limit=1) == ["list-dense"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("timm:nope*", "no model of timm matches 'nope*'"),
        ("nope*", "no registered model matches 'nope*'"),
        ("tim:res*", "'tim' is no library of models"),
    ],
)
def test_a_pattern_that_names_nothing_is_told(word: str, told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("*", r"\*")):
        expand([word])


def test_two_results_tell_what_changed() -> None:
    a = [ModelRow(target="x", params=10, macs=5), ModelRow(target="y", params=1, latency_s=1.0),
         ModelRow(target="z", error="no luck"), ModelRow(target="gone", params=3)]  # fmt: skip
    b = [ModelRow(target="x", params=12, macs=5), ModelRow(target="y", params=1, latency_s=1.04),
         ModelRow(target="z", params=4), ModelRow(target="new", params=3)]  # fmt: skip
    changes = compare_results(a, b)
    told = [(c.target, c.column, c.a, c.b, c.growth) for c in changes.changed]
    assert told == [
        ("x", "params", 10, 12, pytest.approx(0.2)),
        ("z", "error", "no luck", None, None),
    ]
    assert (changes.only_a, changes.only_b, changes.same) == (("gone",), ("new",), 1)
    assert json.dumps(told)

"""``summary --expect``: exit 1 with the difference; ``--update`` writes the file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_written_holds(run, here: Path) -> None:
    result = run("summary", "lenet", "--expect", "expect.toml", "--update")
    assert (result.code, "wrote expect.toml" in result.err) == (0, True)
    table = tomllib.loads((here / "expect.toml").read_text())["lenet"]
    assert table == {
        "inputs": ["0:float32:1x1x32x32"], "params": 61_706, "trainable_params": 61_706,
        "macs": 416_520, "check_errors": 0,
    }  # fmt: skip
    result = run("summary", "lenet", "--expect", "expect.toml")
    assert result.code == 0, result.err
    assert "differs" not in result.out


def test_a_model_that_changed_exits_1_with_the_difference(run, here: Path) -> None:
    run("summary", "mlp", "--expect", "expect.toml", "--update")
    words = ("summary", "mlp", "--set", "hidden_features=512", "--expect", "expect.toml")
    result = run(*words)
    assert result.code == 1
    (row,) = [line for line in result.out.splitlines() if line.startswith("macs")]
    assert row.split() == ["macs", "203,264", "406,528", "+203,264", "differs"]
    assert "params is 407,050, expected 203,530" in result.err
    assert "--update writes what is found now" in result.err
    body = run(*words, "--format", "json").json
    told = {each["key"]: each for each in body["expectations"]}
    assert told["macs"] == {
        "key": "macs", "expected": 203_264, "found": 406_528, "difference": 203_264, "holds": False
    }  # fmt: skip
    assert body["totals"]["params"] == 407_050
    assert run(*words, "--update").code == 0
    assert run(*words).code == 0


def test_bounds_ties_and_other_tables_stay(run, here: Path) -> None:
    path = here / "expect.toml"
    path.write_text(
        "# ours\n"
        '["other"]\nparams = 1\n\n'
        '["shared"]\n# a bound\nparams = { max = 1_000_000 }\nmacs = 5 # old\n'
        "uncounted = [\n]\n"
    )
    assert run("summary", "shared", "--expect", "expect.toml").code == 1
    assert run("summary", "shared", "--expect", "expect.toml", "--update").code == 0
    text = path.read_text()
    assert text.startswith('# ours\n["other"]\nparams = 1\n')
    assert "# a bound\nparams = { max = 1000000 }\n" in text
    table = tomllib.loads(text)["shared"]
    assert table.keys() == {"params", "macs", "uncounted"}
    assert run("summary", "shared", "--expect", "expect.toml").code == 0
    path.write_text('["shared"]\nparams = { max = 3 }\n')
    result = run("summary", "shared", "--expect", "expect.toml")
    assert "expected at most 3" in result.err
    result = run("summary", "shared", "--expect", "expect.toml", "--update")
    result.assert_error(2, "outside of { max = 3 }", "a bound is not updated")
    assert path.read_text() == '["shared"]\nparams = { max = 3 }\n'


def test_the_peak_of_memory_is_planned_where_it_is_asked_for(run, here: Path) -> None:
    (here / "expect.toml").write_text('["lenet"]\npeak_bytes = { max = 10_000 }\n')
    result = run("summary", "lenet", "--expect", "expect.toml")
    assert result.code == 1
    assert "expected at most 10,000" in result.err
    (here / "expect.toml").write_text('["lenet"]\npeak_bytes = 1\n')
    assert run("summary", "lenet", "--expect", "expect.toml", "--update").code == 0
    table = tomllib.loads((here / "expect.toml").read_text())["lenet"]
    memory = run("memory", "lenet", "--mode", "eval", "--format", "json").json
    assert table == {"peak_bytes": memory["eval"]["peak_bytes"]}


def test_a_lost_tie_is_told(run, here: Path) -> None:
    (here / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, tied=True):\n"
        "        super().__init__()\n"
        "        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)\n"
        "        if tied: self.b.weight = self.a.weight\n"
        "    def forward(self, x): return self.b(self.a(x))\n"
    )
    words = ("summary", "net.py:Net", "--input", "1x4", "--expect", "expect.toml")
    run(*words, "--update")
    (here / "expect.toml").write_text('["net.py:Net"]\nties = [["b.weight", "a.weight"]]\n')
    assert run(*words).code == 0
    result = run(*words, "--set", "tied=false")
    assert result.code == 1
    assert "ties is none, expected b.weight = a.weight" in result.err


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        (None, "'expect.toml' does not exist", "--update writes"),
        ("[lenett]\n", "expects nothing of 'lenet'", "did you mean 'lenett'"),
        ("[lenet]\nparms = 3\n", "lenet.parms is unknown", "did you mean 'params'"),
        ("[lenet]\nparams = '3'\n", "lenet.params is '3'", "give a number"),
        ("[lenet]\nparams = { most = 3 }\n", "lenet.params is {'most': 3}", "min"),
        ("[lenet]\nties = 3\n", "lenet.ties is 3", "give a list"),
        ("lenet = 3\n", "lenet is no table", '["lenet"]'),
        ("[lenet\n", "cannot be read", "TOML"),
    ],
)
def test_a_wrong_file_is_told_before_the_model_is_built(
    run, here: Path, text: str | None, told: str, hint: str
) -> None:
    if text is not None:
        (here / "expect.toml").write_text(text)
    run("summary", "lenet", "--expect", "expect.toml").assert_error(2, told, hint)


def test_update_needs_a_file(run) -> None:
    run("summary", "lenet", "--update").assert_error(2, "--update goes with --expect", "name")

"""Numbers that people and files write: of thousands of digits, and of characters that are none."""

from __future__ import annotations

import os

import pytest

from modelcli.cli import _complete
from modelcli.errors import UsageError
from modelcli.numerals import whole_number
from modelcli.training.distributed.place import find_place

DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" -07 ", -7), ("+1", 1), ("000", 0), ("٣", 3), ("0" * 5000 + "5", 5)]
    + [(text, None) for text in ("", "-", "²", "½", "1.0", "1_000", "1 2", "x", "--1")],
)
def test_a_whole_number_is_a_sign_and_digits(text, number):
    assert whole_number(text) == number


def test_a_number_that_python_does_not_read_is_above_all_others():
    assert whole_number(DIGITS) > 1 << 10_000 > 0 > whole_number(f"-{DIGITS}")


@pytest.mark.parametrize("text", [DIGITS, "²", f"-{DIGITS}"])
@pytest.mark.parametrize(
    "words",
    ["params linear --values w[N]", "memory lenet -b N", "time lenet -b N", "time lenet -b 1,N",
     "run lenet --explain conv1[N,0,0,0]", "summary lenet --input Nx1x32x32",
     "shapes conv:8,kN --input 3x8x8", "summary modelcli.errors:__all__[N]",
     "plan lenet --world N"],
)  # fmt: skip
def test_words_with_such_numbers_are_told(run, words, text):
    result = run(*(word.replace("N", text) for word in words.split()))
    result.assert_told()
    assert max(map(len, result.err.splitlines())) < 400


def test_a_count_of_such_digits_shows_every_value(run):
    result = run("params", "linear", "--values", DIGITS, "--format", "json")
    assert result.code == 0
    assert [len(shown["values"]) for shown in result.json["values"]] == [12, 3]


def test_an_index_of_such_digits_is_none_of_a_list(run):
    run("summary", "lenet", "--input", f"x[{DIGITS}]:1x1x32x32").assert_error(
        2, "'x[0]' is missing"
    )


@pytest.mark.parametrize("text", [DIGITS, "-1", "²", ""])
def test_an_environment_with_such_a_number_is_told(text):
    given = {"RANK": text, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    with pytest.raises(UsageError):
        find_place(given)


@pytest.mark.parametrize("text", ["x", "-3", "", "²"])
def test_completion_survives_a_place_that_is_none(monkeypatch, text):
    monkeypatch.setenv(_complete.VARIABLE, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "modelcli s")
    monkeypatch.setenv("COMP_CWORD", text)
    _complete.join_words()
    assert os.environ["COMP_CWORD"] == "0"


def test_modules_with_such_names_are_folded(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        for digit in '89':\n"
        "            self.add_module(digit * 5000, nn.Linear(2, 2))\n"
    )
    assert run("summary", "n.py:Net", "--input", "1x2", "--fold", "-q").code == 0

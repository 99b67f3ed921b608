"""Names are text: whatever a layer, a key or a file is called, a row stays a row."""

from __future__ import annotations

import json

import pytest

from modelcli.checks.record import Finding, Report, Severity
from modelcli.cli._streams import is_c_locale
from modelcli.views.check_github import github_lines
from modelcli.views.curves import draw_curve
from modelcli.views.document import dump_json
from modelcli.views.layout import md_lines, text_lines, tsv_lines
from modelcli.views.table import Column, Table
from modelcli.views.text import Styled, plain_line, printable, safe_line, shorten

EVIL = "a\x1b[31mR\x1b[0m\nfake\t9\u202eb\u200f\x7f\x9b1m"
SAFE = "a\\x1b[31mR\\x1b[0m\\nfake\\t9\\u202eb\\u200f\\x7f\\x9b1m"
TABLE = Table(
    columns=(Column(key="name", title="name"), Column(key="n", title="n")),
    rows=((EVIL, 1), ("<b>&lt;[x](y)|", 2)),
    notes=(f"tied {EVIL}",),
)


def test_a_name_is_one_cell_in_every_format() -> None:
    assert text_lines([TABLE])[1].split("  ")[0] == SAFE
    assert text_lines([TABLE])[-1] == f"tied {SAFE}"
    assert tsv_lines([TABLE])[1:] == [f"{SAFE}\t1", "<b>&lt;[x](y)|\t2"]
    assert md_lines([TABLE])[2:4] == [f"| {SAFE} | 1 |", "| &lt;b>&amp;lt;[x]\\(y)\\| | 2 |"]


def test_json_escapes_and_keeps_the_value() -> None:
    text = dump_json({"rows": [{"name": EVIL + "größe\U000e0001"}]})
    assert json.loads(text)["rows"][0]["name"] == EVIL + "größe\U000e0001"
    assert all(line.isprintable() for line in text.splitlines())
    assert "größe" in text
    assert dump_json({"k": "é🔥"}, ascii=True) == '{\n  "k": "\\u00e9\\ud83d\\udd25"\n}'


def test_an_annotation_cannot_be_forged() -> None:
    finding = Finding(
        rule="MC101", severity=Severity.ERROR, title="t", path="a\n::error::x", message="m",
        why="w", fix="f",
    )  # fmt: skip
    report = Report(findings=(finding,), rules_run=(), rules_skipped={})
    assert github_lines(report) == ["::error title=MC101 t::a\\n::error::x: m%0Aw%0Af"]


def test_colours_of_our_own_stay_and_a_name_within_them_is_escaped() -> None:
    points = [(0.0, 1.0), (1.0, 2.0)]
    drawn = draw_curve([points, points], names=["\x1b[5mx", "y"])
    assert "\x1b[36m" in safe_line(drawn[-1])
    assert "\\x1b[5mx" in drawn[-1]
    assert "\x1b" not in plain_line(drawn[-1])
    assert safe_line("\x1b[31m") == plain_line("\x1b[31m") == "\\x1b[31m"
    assert isinstance(drawn[0], Styled)


@pytest.mark.parametrize("value", ["=1+2", "+1", "@x", "-1"])
def test_tsv_keeps_what_a_spreadsheet_takes_for_a_formula(value: str) -> None:
    table = Table(columns=(Column(key="name", title="name"),), rows=((value,),))
    assert tsv_lines([table]) == ["name", value]


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("'" + "x" * 80 + "' is short", "'" + "x" * 80 + "' is short"),
        (
            "unknown '" + "x" * 200 + "' here",
            "unknown '" + "x" * 50 + "..." + "x" * 20 + "' (200 characters) here",
        ),
        ("a" * 100 + " b", "a" * 50 + "..." + "a" * 20 + " (100 characters) b"),
        ("'/tmp/" + "d" * 120 + "/w.pt' is gone", "'/tmp/" + "d" * 120 + "/w.pt' is gone"),
        ("w " * 1000, ("w " * 750) + " ..."),
    ],
)
def test_an_echo_is_cut(text: str, short: str) -> None:
    assert shorten(text) == short


def test_a_printable_text_is_itself() -> None:
    assert printable("größe 日本語 █ ⣿") == "größe 日本語 █ ⣿"


@pytest.mark.parametrize(
    ("environment", "narrow"),
    [
        ({}, False),
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, False),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
    ],
)
def test_the_c_locale(environment: dict[str, str], narrow: bool) -> None:
    assert is_c_locale(environment) is narrow

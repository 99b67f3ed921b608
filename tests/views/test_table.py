"""Columns over records, and the formats that come from one list of them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest

from modelcli.cli._terminal import write_tables
from modelcli.views.layout import html_table, md_lines, text_lines, tsv_lines
from modelcli.views.table import Column, Table, fit_columns, json_rows, table_of


@dataclass(frozen=True)
class Layer:
    path: str
    shape: tuple[int, ...]
    macs: int
    text: str = ""


COLUMNS = (
    Column(key="path", title="layer"),
    Column(key="shape", title="shape", show=lambda shape: "x".join(map(str, shape))),
    Column(key="macs", title="MACs", align="right", show=lambda macs: f"{macs:,}"),
    Column(key="size", title="size", get=lambda layer: len(layer.shape), only="json"),
    Column(key="mark", title="mark", get=lambda layer: "|", only="people"),
    Column(key="rank", title="rank", get=lambda layer: len(layer.shape), only="data"),
    Column(key="shown", title="shown", get=lambda layer: "s", only="text"),
)
LAYERS = (Layer("a.b", (2, 3), 1234), Layer("c", (4,), 5))


def test_every_format_comes_from_one_list_of_columns() -> None:
    table = table_of(COLUMNS, LAYERS, notes=("2 layers",))
    assert text_lines([table]) == [
        "layer  shape   MACs  mark  shown",
        "a.b    2x3    1,234  |     s",
        "c      4          5  |     s",
        "",
        "2 layers",
    ]
    assert tsv_lines([table]) == [
        "path\tshape\tmacs\trank\tshown",
        "a.b\t2x3\t1234\t2\ts",
        "c\t4\t5\t1\ts",
    ]
    assert md_lines([table], notes=False)[2] == "| a.b | 2x3 | 1,234 | \\| | s |"
    assert json_rows(COLUMNS, LAYERS) == [
        {"path": "a.b", "shape": (2, 3), "macs": 1234, "size": 2, "rank": 2},
        {"path": "c", "shape": (4,), "macs": 5, "size": 1, "rank": 1},
    ]


def test_a_mapping_is_a_record_too() -> None:
    columns = (Column(key="path", title="layer"),)
    assert json_rows(columns, [{"path": "a", "more": 1}]) == [{"path": "a"}]


def test_html_has_its_caption_first_and_escapes() -> None:
    page = html_table(table_of(COLUMNS[:1], [Layer("<x>", (), 0)]), caption="5 < 6")
    assert page.startswith('<table><caption style="text-align:left">5 &lt; 6</caption><thead>')
    assert page.count("<tr>") == 2
    assert "&lt;x&gt;" in page
    assert "<x>" not in page


WIDE = table_of(
    (
        Column(key="path", title="layer"),
        Column(key="shape", title="shape", show=str),
        Column(key="macs", title="MACs", align="right"),
        Column(key="text", title="what", prose=True),
    ),
    [Layer("encoder.layers.11.self_attn", (1, 128, 768), 99, "some words that may be broken")],
    spare=("shape", "macs"),
)


@pytest.mark.parametrize(
    ("width", "titles", "note"),
    [
        (70, ["layer", "shape", "MACs", "what"], None),
        (60, ["layer", "MACs", "what"], "shape"),
        (50, ["layer", "what"], "shape, MACs"),
        (10, ["layer", "what"], "shape, MACs"),
    ],
)
def test_columns_go_in_the_stated_order_and_the_table_says_which(
    width: int, titles: list[str], note: str | None
) -> None:
    fitted = fit_columns(WIDE, width)
    assert [column.title for column in fitted.columns] == titles
    assert [len(row) for row in fitted.rows] == [len(titles)]
    expected = f"columns left out at this width: {note}; --format tsv has all"
    assert fitted.notes == ((expected,) if note else ())


def test_a_column_that_tsv_lacks_is_not_promised_there() -> None:
    table = table_of(COLUMNS, LAYERS, spare=("mark",))
    assert fit_columns(table, 10).notes == ("columns left out at this width: mark",)


@pytest.mark.parametrize("width", ["80", "50", "12"])
def test_a_terminal_never_breaks_a_name(monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("LINES", "25")
    stream = io.StringIO()
    write_tables(stream, [WIDE], notes=False)
    assert "encoder.layers.11.self_attn" in stream.getvalue()
    words = [word for line in stream.getvalue().splitlines() for word in line.split()]
    assert {"some", "words", "broken"} <= set(words)


def test_a_table_without_rows_is_its_heading() -> None:
    empty = Table(columns=COLUMNS[:2], rows=())
    assert text_lines([empty]) == ["layer  shape"]
    assert fit_columns(empty, 5) == empty

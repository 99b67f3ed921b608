"""``modelcli plot``: curves in the terminal and in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from modelcli.views.curve_files import svg_curves
from modelcli.views.curves import draw_curve, sparkline


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    for name, scale in (("a", 1.0), ("b", 1000.0)):
        (tmp_path / name).mkdir()
        lines = [{"step": n, "loss": scale / n, "accuracy": None} for n in (1, 2, 4)]
        (tmp_path / name / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def test_a_run_is_a_row(run: Any, runs: list[str]) -> None:
    result = run("plot", *runs)
    lines = result.out.splitlines()
    assert lines[0].split() == ["run", "steps", "first", "loss", "last", "lowest", "highest"]
    assert lines[1].split() == [runs[0], "4", "1", "0.25", "0.25", "1", "█▃▁"]


def test_json_has_the_points(run: Any, runs: list[str]) -> None:
    document = run("plot", runs[1], "--format", "json").json
    assert document["schema"] == "modelcli.plot/1"
    assert document["runs"] == [{"run": runs[1], "points": [[1, 1000], [2, 500], [4, 250]]}]


def test_curves_go_into_an_svg(run: Any, runs: list[str], tmp_path: Path) -> None:
    file = tmp_path / "c.svg"
    result = run("plot", *runs, "--out", str(file))
    assert (result.code, result.out, result.err) == (0, "", f"wrote {file}\n")
    tree = ElementTree.parse(file)
    lines = tree.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.get("points", "").split()) for line in lines] == [3, 3]


def test_curves_go_into_a_png(run: Any, runs: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "c.png"
    assert run("plot", *runs, "--out", str(file)).code == 0
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--metric", "los"], "has no metric 'los'", "did you mean 'loss'?"),
        (["--out", "c.pdf"], "plot writes .svg and .png, not 'c.pdf'", ""),
        (["--out", "no/such/c.svg"], "cannot write 'no/such/c.svg'", "another --out"),
    ],
)
def test_a_mistake_is_told(
    run: Any, runs: list[str], words: list[str], message: str, hint: str
) -> None:
    run("plot", runs[0], *words).assert_error(2, message, hint)


def test_a_folder_that_is_no_run_is_told(run: Any, tmp_path: Path) -> None:
    run("plot", str(tmp_path)).assert_error(2, "is no run directory", "train --out DIR")


def test_a_sparkline_goes_from_lowest_to_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([float("nan")]) == ""
    assert sparkline(list(range(100)), width=3) == "▁▅█"


def test_a_falling_line_is_drawn_from_corner_to_corner() -> None:
    lines = draw_curve([[(0, 1.0), (10, 0.5)]], width=16, height=2)
    assert lines == ["  1 ┤⠉⠒⠢⢄⣀⠀⠀⠀⠀⠀", "0.5 ┤⠀⠀⠀⠀⠀⠉⠑⠢⠤⣀", "     step 0 to 10"]
    assert len(lines[0]) <= 16


def test_values_of_many_magnitudes_get_a_logarithmic_axis() -> None:
    assert draw_curve([[(0, 1.0), (1, 1e-3)]])[0].strip() == "logarithmic"
    assert "logarithmic" in svg_curves({"a": [(0, 1.0), (1, 1e-3)]})


def test_one_point_is_no_curve() -> None:
    assert draw_curve([[(0, 1.0)]]) == []
    assert svg_curves({}).startswith("<svg")


def test_names_are_escaped_in_svg() -> None:
    text = svg_curves({"<a>": [(0, 1), (1, 2)], "b": [(0, 1), (1, 2)]})
    assert "&lt;a&gt;" in text
    ElementTree.fromstring(text)

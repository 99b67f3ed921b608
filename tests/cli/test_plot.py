"""``modelcli plot``: curves in the terminal and in files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from modelcli.views.curves import draw_curve, sparkline
from modelcli.views.pictures.chart import Line, chart, thinned
from modelcli.views.pictures.look import MARK, SERIES


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
    points = [[1, 1000], [2, 500], [4, 250]]
    assert document["runs"] == [{"run": runs[1], "model": None, "points": points, "held_out": []}]


def test_curves_go_into_an_svg(run: Any, runs: list[str], tmp_path: Path) -> None:
    file = tmp_path / "c.svg"
    result = run("plot", *runs, "--out", str(file))
    assert (result.code, result.out, result.err) == (0, "", f"wrote {file}\n")
    drawn = curves_in(file.read_text())
    assert [path.get("d").count("L") for path in drawn] == [2, 2, 0, 0]  # the last two: the legend
    assert [path.get("class") for path in drawn] == ["curve s0", "curve s1"] * 2


def curves_in(svg: str) -> list[Any]:
    """Return what is drawn as a curve, the samples in the legend last."""
    paths = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path")
    return [path for path in paths if "curve" in path.get("class", "")]


@pytest.fixture
def held_out_run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[model]\ntarget = "lenet"\n')
    lines: list[dict[str, Any]] = [{"step": n, "loss": 1 / n} for n in (1, 2, 3, 4)]
    lines += [{"step": n, "epoch": n // 2, "held_out_loss": 2 / n} for n in (2, 4)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_a_png_without_its_library_ends_with_3(
    run: Any, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "resvg_py" else find(name)
    )
    result = run("plot", *runs, "-o", str(tmp_path / "c.png"))
    result.assert_error(3, "a .png needs resvg-py", "pip install 'modelcli[plot]'")
    assert not (tmp_path / "c.png").exists()


def test_held_out_is_dashed_in_the_colour_of_its_run(
    run: Any, runs: list[str], held_out_run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "c.svg"
    assert run("plot", str(held_out_run), "-o", str(file)).code == 0
    classes = [path.get("class") for path in curves_in(file.read_text())]
    assert classes == ["curve s0", "curve s0 held"] * 2
    assert run("plot", runs[0], str(held_out_run), "-o", str(file)).code == 0
    classes = [path.get("class") for path in curves_in(file.read_text())]
    assert classes == ["curve s0", "curve s1", "curve s1 held", "curve s0", "curve s1"]
    assert "solid: training, dashed: held-out" in file.read_text()
    document = run("plot", str(held_out_run), "--format", "json").json
    assert document["runs"][0]["held_out"] == [[2, 1.0], [4, 0.5]]
    assert document["runs"][0]["model"] == "lenet"


def test_the_title_names_model_metric_and_run(run: Any, held_out_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.svg"
    run("plot", str(held_out_run), "-o", str(file))
    texts = [t.text for t in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text")]
    assert "lenet: loss" in texts
    assert any(text and text.endswith("one") for text in texts)


def test_legend_and_curves_do_not_meet() -> None:
    lines = [
        Line(name=f"a long name of run {n}", points=[(0, 1.0), (9, n)], colour=n)
        for n in range(1, 13)
    ]
    drawn = curves_in(chart(lines, title="loss").svg)
    xs = [[float(place.split()[0]) for place in p.get("d")[1:].split("L")] for p in drawn[:12]]
    samples = [float(path.get("d")[1:].split()[0]) for path in drawn[12:]]
    assert max(map(max, xs)) < min(samples)
    assert len(samples) == 12
    assert len({path.get("class") for path in drawn[:12]}) == 12


def test_twelve_runs_have_twelve_colours() -> None:
    for side in (0, 1):
        assert len({pair[side] for pair in SERIES}) == len(SERIES) >= 12


def test_a_thinned_curve_keeps_its_peaks() -> None:
    points = [(float(n), 1.0) for n in range(10_000)]
    points[1234] = (1234.0, 9.0)
    kept = thinned(points, 100)
    assert len(kept) <= 200
    assert (1234.0, 9.0) in kept
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_file_of_somebody_else_stays(
    run: Any, runs: list[str], tmp_path: Path, suffix: str
) -> None:
    pytest.importorskip("resvg_py")
    file = tmp_path / f"mine{suffix}"
    file.write_text("mine")
    run("plot", runs[0], "-o", str(file)).assert_error(2, "was not drawn by modelcli", "--force")
    assert file.read_text() == "mine"
    assert run("plot", runs[0], "-o", str(file), "--force").code == 0
    assert MARK.encode() in file.read_bytes()
    assert run("plot", runs[1], "-o", str(file)).code == 0  # now it is ours
    assert sorted(tmp_path.glob("*mine*")) == [file]


def test_curves_go_into_a_png(run: Any, runs: list[str], tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
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
    assert "logarithmic" in chart([Line(name="a", points=[(0, 1.0), (1, 1e-3)])], title="loss").svg


def test_one_point_is_no_curve() -> None:
    assert draw_curve([[(0, 1.0)]]) == []
    assert chart([], title="loss").svg.startswith("<svg")


HOSTILE = "<script>alert(1)</script>\"'\n\x1b[31m]]>\u202e&amp;"


def test_hostile_names_are_text_in_svg() -> None:
    lines = [Line(name=HOSTILE, points=[(0, 1), (1, 2)], colour=n) for n in (0, 1)]
    svg = chart(lines, title=HOSTILE, subtitle=HOSTILE).svg
    names = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}
    assert names == {"svg", "desc", "style", "rect", "text", "path", "title"}
    assert "\x1b" not in svg
    assert "\u202e" not in svg

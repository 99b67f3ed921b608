"""``modelcli graph``: pictures into files, rows on stdout, mistakes in two lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"


def texts_in(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_picture_names_every_layer_with_its_size_and_cost(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "lenet.svg"
    result = run("graph", "lenet", "-o", str(file))
    assert (result.code, result.out, result.err) == (0, "", f"drawn in {file}\n")
    texts = texts_in(file.read_text())
    assert texts[:3] == ["LeNet", "lenet · input float32 1×1×32×32",
                         "61.7 k parameters · 417 k MACs · 12 calls"]  # fmt: skip
    for name in ("conv1", "conv2", "fc1", "fc2", "fc3", "relu", "max_pool2d", "input", "output"):
        assert name in texts, name
    assert "1×16×10×10 · 2.42 k params · 240 k MACs" in texts
    assert " id=" not in file.read_text()  # two pictures in one document share none


def test_two_runs_write_the_same_bytes(run: Any, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        assert run("graph", "parallel", "-o", str(tmp_path / name)).code == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_rows_are_nodes_for_people_and_edges_as_data(run: Any) -> None:
    lines = run("graph", "lenet").out.splitlines()
    assert lines[0].split() == ["id", "name", "type", "output", "from", "params", "MACs"]
    fc1 = next(line.split() for line in lines if " fc1 " in line)
    assert fc1 == ["c7", "fc1", "Linear", "1×120", "max_pool2d_1", "48,120", "48,000"]
    edges = run("graph", "parallel", "--format", "tsv").out.splitlines()
    assert edges[0].split("\t") == ["source", "output", "target", "argument", "shape", "kind"]
    assert sum(line.startswith("x0\t") for line in edges) == 2  # both blocks read the input


def test_json_has_the_whole_graph(run: Any) -> None:
    document = run("graph", "repeat", "--format", "json").json
    assert document["schema"] == "modelcli.graph/1"
    nodes = {node["id"]: node for node in document["nodes"]}
    folded = [node for node in nodes.values() if node["repeat"] == 3]
    assert len(folded) == 1
    assert folded[0]["type"] == "NestMLP"
    assert nodes["s0"]["parent"] is None
    assert all(node["parent"] in nodes for node in nodes.values() if node["id"] != "s0")
    assert all(edge[end] in nodes for edge in document["edges"] for end in ("source", "target"))
    assert (
        sum(node["macs"] for node in nodes.values() if node["id"][0] == "c") == nodes["s0"]["macs"]
    )
    assert document["error"] is None


@pytest.mark.parametrize(
    ("suffix", "begins"),
    [("dot", "// drawn by modelcli\ndigraph"), ("mmd", "%% drawn by modelcli\nflowchart TD"),
     ("html", "<!doctype html>\n<!-- drawn by modelcli -->")],
)  # fmt: skip
def test_other_forms_go_by_the_suffix(run: Any, tmp_path: Path, suffix: str, begins: str) -> None:
    file = tmp_path / f"net.{suffix}"
    assert run("graph", "lenet", "-o", str(file)).code == 0
    assert file.read_text().startswith(begins)
    assert run("graph", "lenet", "-o", str(file)).code == 0  # it is ours


def test_a_png_is_a_png(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    file = tmp_path / "net.png"
    assert run("graph", "lenet", "-o", str(file), "--theme", "dark").code == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_form_without_a_file_goes_to_stdout(run: Any) -> None:
    assert run("graph", "lenet", "--as", "svg").out.startswith("<svg ")
    assert run("graph", "lenet", "--format", "md").out.startswith("```mermaid\n")


def test_depth_and_open_say_what_is_seen(run: Any) -> None:
    def shown(*words: str) -> list[str]:
        return texts_in(run("graph", "nested-blocks", "--as", "svg", "--no-fold", *words).out)

    everything = shown("--open", "all")
    closed = shown("--open", "none")
    assert len(closed) < len(shown("--depth", "2")) < len(everything)
    assert "Linear" in everything


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["-o", "x.pdf"], "graph writes", "x.svg"),
        (["-o", "nodir/x.svg"], "cannot write 'nodir/x.svg'", "choose another -o"),
        (["--as", "gif"], "gif", ""),
        (["--depth", "-1"], "--depth -1 is not possible", "0 for all"),
        (["--format", "json", "--as", "svg"], "--format json writes rows", "leave one"),
        (["--as", "svg", "--open", "con1"], "there is no box 'con1' to open", "once, all, none"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    run: Any, words: list[str], message: str, hint: str
) -> None:
    run("graph", "lenet", *words).assert_error(2, message, hint)


def test_open_suggests_what_was_meant(run: Any) -> None:
    result = run("graph", "repeat", "--as", "svg", "--open", "0.nett")
    assert result.code == 2
    assert "hint: did you mean '0.net'?" in result.err


def test_a_file_of_somebody_else_is_kept(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.svg"
    file.write_text("<svg>mine</svg>")
    run("graph", "lenet", "-o", str(file)).assert_error(2, "was not drawn by modelcli", "--force")
    assert file.read_text() == "<svg>mine</svg>"
    assert run("graph", "lenet", "-o", str(file), "--force").code == 0
    assert "conv1" in file.read_text()


def test_a_forward_that_fails_is_drawn_up_to_there(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "net.svg"
    result = run("graph", "lenet", "--input", "1x1x28x28", "-o", str(file), "-q")
    result.assert_error(1, "forward failed in 'fc1'", "")
    svg = file.read_text()
    texts = texts_in(svg)
    assert any("forward failed in 'fc1'" in text for text in texts)
    assert {"conv2", "fc1"} <= set(texts)
    assert "fc2" not in texts
    assert svg.count('class="g-failed"') == 1

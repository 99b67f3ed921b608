"""``modelcli shapes`` as a user runs it."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

Run = Any


def test_rows_have_the_keys_of_the_contract(run: Run) -> None:
    result = run("shapes", "lenet", "--format", "json")
    assert result.code == 0
    assert result.json["schema"] == "modelcli.shapes/1"
    first = result.json["rows"][0]
    assert {
        "path": "conv1", "type": "Conv2d", "input": [1, 1, 32, 32], "kernel": [5, 5],
        "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "output": [1, 6, 28, 28],
        "receptive_field": [5, 5], "jump": [1, 1], "start": [0, 0], "unseen": [0, 0],
        "formula": "floor((32 + 2*0 - 5) / 1) + 1 = 28", "channels": {"in": 1, "out": 6},
        "activation_numel": 4704, "activation_bytes": 18816, "share": 25 / 1024,
    }.items() <= first.items()  # fmt: skip


def test_a_stack_needs_no_torch_and_says_null(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    result = run(
        "shapes", "--input", "3x224x224", "conv:64,k7,s2,p3", "bn", "relu", "maxpool:k3,s2,p1",
        "conv:128,k3,p=same", "convT:64,k4,s2,p1", "upsample:x2", "flatten", "linear:10",
        "--format", "json",
    )  # fmt: skip
    assert result.code == 0
    assert result.json["torch"] is None
    rows = result.json["rows"]
    assert [row["output"] for row in rows] == [
        [64, 112, 112], [64, 112, 112], [64, 112, 112], [64, 56, 56], [128, 56, 56],
        [64, 112, 112], [64, 224, 224], [3211264], [10],
    ]  # fmt: skip
    assert rows[5]["receptive_field"] == [23, 23]
    assert "torch" not in sys.modules


EXPLAINED = """\
conv: Conv2d, kernel 5 x 3, stride 1, padding 2 x 1
  1x1x8x8 goes in

  height: 8 in, 8 out
  1. padding adds 2 above and 2 below:       8 + 2*2 = 12
  2. the kernel spans 5, which leaves room:  12 - 5 = 7
  3. it moves 1 row at a time:               7 / 1 = 7 moves
  4. and one window where it starts:         7 + 1 = 8 rows
     in one line: out = floor((in + 2p - k) / s) + 1
                      = floor((8 + 2*2 - 5) / 1) + 1 = 8

  width: 8 in, 8 out
  1. padding adds 1 on the left and 1 on the right:  8 + 2*1 = 10
  2. the kernel spans 3, which leaves room:          10 - 3 = 7
  3. it moves 1 column at a time:                    7 / 1 = 7 moves
  4. and one window where it starts:                 7 + 1 = 8 columns
     in one line: out = floor((in + 2p - k) / s) + 1
                      = floor((8 + 2*1 - 3) / 1) + 1 = 8

  channels: 1 kernel, each gives one map: 1 channel
  parameters: 1 * 1 * 5 * 3 + 1 = 16
  1x1x8x8 comes out
  one cell in the middle sees 5 x 3 of the input's 8 x 8, which is 23%; its neighbour is 1 further
"""


def test_explain_reads_like_a_worked_example(run: Run) -> None:
    assert run("shapes", "conv-rect", "--explain").out == EXPLAINED


def test_explain_in_json_has_the_steps(run: Run) -> None:
    rows = run("shapes", "conv-rect", "--explain", "--format", "json").json["rows"]
    assert rows[0]["steps"] == EXPLAINED.splitlines()


def test_several_sizes_side_by_side(run: Run) -> None:
    result = run("shapes", "alexnet", "--input", "1x3x224x224,1x3x256x256", "--format", "tsv")
    head, first, *_ = result.out.splitlines()
    assert head.split("\t") == ["path", "type", "receptive_field", "1x3x224x224", "1x3x256x256"]
    assert first.split("\t") == ["features.0", "Conv2d", "11", "1x64x55x55", "1x64x63x63"]


def test_commas_alone_separate_the_sizes_of_one_shape(run: Run) -> None:
    rows = run("shapes", "lenet", "--input", "1,1,32,32", "--format", "json").json["rows"]
    assert rows[0]["input"] == [1, 1, 32, 32]


def test_plot_draws_one_level_per_size(run: Run) -> None:
    lines = run("shapes", "lenet", "--plot").out.splitlines()
    assert [line.split()[0] for line in lines[:-2:2]] == [
        "32x32", "28x28", "14x14", "10x10", "5x5", "vector",
    ]  # fmt: skip
    assert lines[2].endswith("6 ch")
    assert "conv1, sees 5" in lines[3]
    assert all(len(line) <= 100 for line in lines)


def test_picture_is_an_svg_for_a_slide(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "maps.svg"
    result = run("shapes", "lenet", "-o", str(path))
    assert result.code == 0
    assert result.err == f"drawn in {path}\n"
    root = ET.parse(path).getroot()
    assert "@media(prefers-color-scheme:dark)" in path.read_text()
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts[0] == "lenet"
    assert "28 × 28" in texts
    assert "sees 16" in texts
    boxes = [element for element in root.iter() if element.tag.endswith("polygon")]
    assert len(boxes) == 5 * 3 + 1 + 3  # maps, the vector, the legend


def test_layers_lists_the_language(run: Run) -> None:
    out = run("shapes", "--layers").out
    for example in ("conv:64,k7,s2,p3", "convT:64,k4,s2,p1", "upsample:x2,mode=bilinear"):
        assert example in out
    assert max(map(len, out.splitlines())) <= 88
    names = [row["name"] for row in run("shapes", "--layers", "--format", "json").json["rows"]]
    assert {"conv", "dwconv", "convT", "maxpool", "unfold", "fold", "relu"} <= set(names)


def test_every_example_of_the_language_works(run: Run) -> None:
    rows = run("shapes", "--layers", "--format", "json").json["rows"]
    for row in rows:
        shape = "288x1024" if row["name"] == "fold" else "16x32x32"
        result = run("shapes", "--input", shape, row["example"], "--format", "json")
        assert result.code == 0, (row["example"], result.err)


def test_solve(run: Run) -> None:
    result = run("shapes", "--solve", "--input", "224", "--output", "112", "conv:k7")
    lines = result.out.splitlines()
    assert lines[0].split() == [
        "layer", "kernel", "stride", "pad", "dilation", "unseen", "formula",
    ]  # fmt: skip
    assert lines[1].split()[:5] == ["conv:k7,s2,p3", "7", "2", "3", "1"]
    assert lines[1].endswith("floor((224 + 2*3 - 7) / 2) + 1 = 112")


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["--input", "224", "--output", "same", "conv:k3"], "conv:k3,p1"),
        (["--input", "14", "--output", "28", "convT"], "convT:k2,s2"),
        (["--input", "56", "--output", "28", "maxpool"], "maxpool:k2"),
        (["--input", "3x224x112", "--output", "112x56", "conv:64,k3x5"], "conv:64,k3x5,s2,p1x2"),
        (["--input", "224", "--output", "56", "conv:k3,s2,d1,p1"], None),
    ],
)
def test_solutions_are_words_that_can_be_typed(run: Run, words: list[str], first: str) -> None:
    result = run("shapes", "--solve", *words, "--format", "json")
    if first is None:
        result.assert_error(1, "no conv leads from 224 to 56", "a larger stride")
        return
    word = result.json["solutions"][0]["word"]
    assert word == first
    size = words[1] if "x" in words[1] else f"1x{words[1]}x{words[1]}"
    typed = run("shapes", "--input", size, word.replace("k", "8,k", 1) if "T" in word else word)
    assert typed.code == 0


def test_solve_without_input_goes_backwards(run: Run) -> None:
    result = run(
        "shapes", "--solve", "--output", "7", "conv:8,k7,s2,p3", "maxpool:k3,s2,p1",
        "--format", "json",
    )  # fmt: skip
    assert result.json["inputs"] == [[25, 28]]


ERRORS = [
    (["shapes"], 2, "shapes needs a model or a stack of layers", "--layers"),
    (["shapes", "--input", "3x32x32", "conv:8,k3", "conf:8,k3"], 2,
     "word 2, 'conf:8,k3': no layer is called 'conf'", "did you mean 'conv'"),
    (["shapes", "conv:8,k3"], 2, "a stack needs one --input", "3x224x224"),
    (["shapes", "--input", "3xAx4", "conv:8,k3"], 2, "input '3xAx4' is no shape", "3x224x224"),
    (["shapes", "--input", "3x8x8", "conv:8,k9"], 2,
     "word 1, 'conv:8,k9' (Conv2d) cannot take 3x8x8: a kernel of 9 does not fit into height 8",
     "the smallest input that works is 3x9x9"),
    (["shapes", "--solve", "--input", "8", "conv:k3"], 2, "--solve needs --output", "same"),
    (["shapes", "--output", "8", "lenet"], 2, "--output 8 is the size", "add --solve"),
    (["shapes", "--output", "maps.svg", "lenet"], 2, "--output maps.svg", "-o maps.svg draws"),
    (["shapes", "-o", "maps.pdf", "lenet"], 2, "writes .svg and .png, not 'maps.pdf'", "maps.svg"),
    (["shapes", "-o", "/nowhere/maps.svg", "lenet"], 2, "cannot write '/nowhere/maps.svg'", "-o"),
    (["shapes", "--solve", "--input", "224", "--output", "300", "conv:k7"], 1,
     "no conv leads from 224 to 300: the largest output of 224 is 230 with kernel 7", "convT"),
    (["shapes", "--solve", "--input", "8", "--output", "4", "flatten"], 2,
     "word 1, 'flatten': --solve does not know this layer", "it solves conv"),
    (["shapes", "--prove", "--input", "3x8x8", "conv:8,k3"], 2, "--prove needs a model", "weights"),
    (["shapes", "alexnet", "--plot", "--input", "1x3x224x224,1x3x256x256"], 2,
     "several input sizes have a table only", "one size"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "message", "hint"), ERRORS)
def test_errors(run: Run, words: list[str], code: int, message: str, hint: str) -> None:
    run(*words).assert_error(code, message, hint)


@pytest.mark.parametrize(
    ("shape", "message", "hint"),
    [
        ("1x1x6x6", "'conv2' (Conv2d) cannot take 1x6x1x1: a kernel of 5 does not fit into "
         "height 1", "the smallest input that works is 1x6x5x5"),
        ("1x1x5x5", "'max_pool2d' cannot take 1x6x1x1: a kernel of 2 does not fit into height 1",
         "the smallest input that works is 1x6x2x2"),
        ("1x3x32x32", "'conv1' (Conv2d) cannot take 1x3x32x32: its weights expect 1 channels",
         "an input of 1x1x32x32 would fit"),
    ],
)  # fmt: skip
def test_a_model_that_refuses_says_what_would_work(
    run: Run, shape: str, message: str, hint: str
) -> None:
    result = run("shapes", "lenet", "--input", shape)
    assert result.code == 1
    first, second = result.err.splitlines()
    assert message in first
    assert hint in second


def test_narrow_terminals_drop_columns_and_say_which(run: Run) -> None:
    from modelcli.feature_maps.flow import trace_rows
    from modelcli.loading.find import find_source
    from modelcli.observe import observe
    from modelcli.views.shapes import shapes_table
    from modelcli.views.table import fit_columns

    rows = trace_rows(observe(find_source("lenet")))
    table = fit_columns(shapes_table(rows), 80)
    titles = [column.title for column in table.columns if column.only != "data"]
    assert titles == [
        "layer", "type", "input", "kernel", "stride", "pad", "output", "field", "sees",
    ]  # fmt: skip
    assert table.notes[-1] == (
        "columns left out at this width: activation, jump, formula; --format tsv has all"
    )
    assert not any(note.startswith("jump") for note in table.notes)
    assert "formula" in [c.title for c in fit_columns(shapes_table(rows), 160).columns]


def test_a_picture_in_no_folder_is_refused_before_torch_is_imported(tmp_path):
    path = tmp_path / "nowhere" / "x.svg"
    code = (
        "import sys; from modelcli.cli import main\n"
        f"code = main(['shapes', 'lenet', '-o', {str(path)!r}])\n"
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert f"cannot write '{path}': no such file or directory" in done.stderr


def test_a_flattened_map_has_no_jump_and_no_start(run: Run) -> None:
    words = ("shapes", "--input", "1x8x8", "conv:2,k3", "flatten")
    row = run(*words, "--format", "json").json["rows"][-1]
    assert (row["jump"], row["start"]) == (None, None)
    head, *_, last = run(*words, "--format", "tsv").out.splitlines()
    cells = dict(zip(head.split("\t"), last.split("\t"), strict=True))
    assert (cells["jump"], cells["start"]) == ("", "")


def test_a_forward_that_failed_is_not_said_to_change_no_map(run: Run) -> None:
    result = run("shapes", "lenet", "--input", "1x3x32x32")
    assert result.code == 1
    assert "input" in result.out
    assert "no layer" not in result.out


def test_a_layer_that_refuses_is_explained_where_the_input_was_inferred(run, tmp_path):
    net = tmp_path / "net.py"
    net.write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Linear(4, 8), nn.MaxPool1d(20))\n"
    )
    for words in ([], ["--input", "1x4"]):
        result = run("shapes", f"{net}:Net", *words)
        assert result.code == 1
        assert result.err.splitlines()[-2:] == [
            "error: '1' (MaxPool1d) cannot take 1x8: a kernel of 20 does not fit into length 8",
            "hint: the smallest input that works is 1x20",
        ]

"""``modelcli summary``: what it shows, and what it says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcli import registry

Write = Callable[[str, str], Path]

LENET = """
import torch
import torch.nn.functional as F
from torch import nn
from sizes import KERNEL

print("loaded")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, KERNEL)
        self.conv2 = nn.Conv2d(6, 16, KERNEL)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class NeedsArguments(nn.Module):
    def __init__(self, features: int, width=3):
        super().__init__()
        self.layer = nn.Linear(features, width)

    def forward(self, x):
        return self.layer(x)


class NoInit(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 2)


class Mismatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.second = nn.Linear(6, 7)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def make_net(features=3):
    return nn.Sequential(nn.Linear(features, features))


instance = Net()
number = 3
"""


@pytest.fixture
def net(write: Write) -> Path:
    write("elsewhere/sizes.py", "KERNEL = 5\n")
    return write("elsewhere/net.py", LENET)


def test_lenet_has_its_published_size_and_cost(run) -> None:
    body = run("summary", "lenet", "--format", "json").json
    assert body["schema"] == "modelcli.summary/1"
    assert body["target"] == "lenet"
    assert body["totals"]["params"] == 61_706
    assert body["totals"]["macs"] == 416_520
    assert body["totals"]["flops"] == 833_040
    assert body["coverage"]["complete"] is True
    assert body["error"] is None
    types = [row["type"] for row in body["rows"][1:]]
    assert types == [
        "Conv2d", "relu", "max_pool2d", "Conv2d", "relu", "max_pool2d", "flatten",
        "Linear", "relu", "Linear", "relu", "Linear",
    ]  # fmt: skip


@pytest.mark.parametrize("spec", registry.all_specs(), ids=lambda spec: spec.name)
def test_rows_sum_to_totals(run, spec: registry.ModelSpec) -> None:
    body = run("summary", spec.name, "--format", "json", "--depth", "0").json
    totals = body["totals"]
    assert totals["params"] == spec.params
    assert sum(row["own_params"] for row in body["rows"]) == totals["params"]
    assert sum(row["own_macs"] for row in body["rows"]) == totals["macs"]
    assert totals["flops"] == 2 * totals["macs"]
    assert totals["trainable_params"] + totals["frozen_params"] == totals["params"]


@pytest.mark.parametrize("name", ["repeat", "nested-blocks", "parallel", "alexnet"])
def test_totals_do_not_depend_on_depth(run, name: str) -> None:
    bodies = [
        run("summary", name, "--format", "json", "--depth", str(depth)).json for depth in range(4)
    ]
    assert all(body["totals"] == bodies[0]["totals"] for body in bodies)
    assert len(bodies[1]["rows"]) < len(bodies[0]["rows"])


def test_functional_linear_shows_the_call_that_a_printed_module_hides(run) -> None:
    body = run("summary", "functional-linear", "--format", "json").json
    ops = {row["type"]: row for row in body["rows"] if row["kind"] == "op"}
    assert ops["randn"]["output_shapes"] == [[3, 5]]
    assert ops["linear"]["input_shapes"] == [[1, 5], [3, 5]]
    assert ops["linear"]["macs"] == 15
    assert body["totals"]["params"] == 55
    lines = run("summary", "functional-linear").out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["randn", "linear"]


def test_a_module_used_twice_is_shown_as_such(run) -> None:
    body = run("summary", "shared", "--format", "json").json
    assert body["totals"]["params"] == 7
    third = body["rows"][3]
    assert (third["path"], third["shared_with"]) == ("2", "0")
    assert (third["params"], third["tied_params"], third["macs"]) == (0, 3, 2)
    assert body["ties"] == [["0.weight", "2.weight"], ["0.bias", "2.bias"]]
    assert "(3) = 0" in run("summary", "shared").out


def test_parallel_ends_in_cat(run) -> None:
    result = run("summary", "parallel", "--format", "json").json
    last = result["rows"][-1]
    assert (last["type"], last["output_shapes"]) == ("cat", [[2, 16]])
    table = run("summary", "parallel").out.split("\n\n")[0].splitlines()
    assert table[-1].split()[0] == "cat"
    assert "(2, 16)" in table[-1]


def test_parameters_of_containers_have_rows(run) -> None:
    body = run("summary", "dict-dense", "--format", "json").json
    rows = {row["path"]: row for row in body["rows"]}
    assert rows["params.linear2"]["kind"] == "parameter"
    assert rows["params.linear2"]["executed"] is False
    assert body["totals"]["executed_params"] == 16
    assert "never run" in run("summary", "dict-dense").out


def test_choice_of_forward_is_a_kwarg(run) -> None:
    body = run("summary", "dict-dense", "--kwarg", "choice=linear3", "--format", "json").json
    assert body["totals"]["executed_params"] == 8
    assert body["rows"][0]["output_shapes"] == [[1, 2]]


def test_unregistered_modules_are_told(run) -> None:
    result = run("summary", "sequential-list")
    assert "modules ran that no parent registers (kept in a plain list or dict?): 3" in result.out


def test_set_gives_constructor_arguments(run) -> None:
    body = run("summary", "mlp", "--set", "hidden_features=512", "--format", "json").json
    assert body["totals"]["params"] == 784 * 512 + 512 + 512 * 10 + 10


def test_input_follows_the_constructor_arguments(run) -> None:
    body = run("summary", "mlp", "--set", "in_features=100", "--format", "json").json
    assert body["inputs"][0]["shape"] == [1, 100]
    assert body["totals"]["macs"] == 100 * 256 + 256 * 10


def test_batch_size_replaces_the_first_dimension(run) -> None:
    body = run("summary", "lenet", "--batch-size", "7", "--format", "json").json
    assert body["inputs"][0]["shape"] == [7, 1, 32, 32]
    assert body["totals"]["macs"] == 7 * 416_520


def test_backward_costs_twice_the_forward(run) -> None:
    body = run("summary", "lenet", "--backward", "--format", "json").json
    assert body["totals"]["backward_flops"] == 2 * body["totals"]["flops"]


@pytest.mark.parametrize("execution", ["meta", "fake", "real"])
def test_every_rung_gives_the_same_numbers(run, execution: str) -> None:
    body = run("summary", "lenet", "--execution", execution, "--format", "json").json
    assert body["execution"] == execution
    assert (body["totals"]["params"], body["totals"]["macs"]) == (61_706, 416_520)


def test_model_in_a_file_of_its_own(run, net: Path) -> None:
    result = run("summary", f"{net}:Net", "--input", "1x1x32x32", "--format", "json")
    assert result.json["totals"]["params"] == 61_706
    assert result.json["totals"]["macs"] == 416_520
    assert "loaded" not in result.out
    assert "loaded" in result.err


@pytest.mark.parametrize("name", ["Net", "instance"])
def test_an_ordinary_cnn_needs_no_input(run, net: Path, name: str) -> None:
    body = run("summary", f"{net}:{name}", "--format", "json").json
    assert body["inputs"][0]["shape"] == [1, 1, 32, 32]
    assert body["inputs"][0]["origin"].startswith("inferred")


def test_factory_takes_arguments(run, net: Path) -> None:
    body = run("summary", f"{net}:make_net", "--set", "features=4", "--format", "json").json
    assert body["totals"]["params"] == 20


def test_import_path_from_the_current_folder(
    run, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(net.parent)
    body = run("summary", "net:Net", "--input", "1x1x32x32", "--format", "json").json
    assert body["totals"]["params"] == 61_706


def test_config_file_is_a_target(run, write: Write) -> None:
    path = write("run.toml", '[model]\ntarget = "mlp"\n[model.kwargs]\nhidden_features = 8\n')
    body = run("summary", str(path), "--format", "json").json
    assert body["totals"]["params"] == 784 * 8 + 8 + 80 + 10


def test_style_torch_prints_the_repr(run) -> None:
    out = run("summary", "lenet", "--style", "torch").out
    assert out.startswith("LeNet(\n  (conv1): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))")


def test_style_torchinfo_says_where_it_differs(run) -> None:
    out = run("summary", "parallel", "--style", "torchinfo").out
    assert "Total params: 4,288" in out
    assert "true are 4,288 parameters and 4,160 MACs" in out.splitlines()[-1]


def test_tsv_has_raw_values_under_keys(run) -> None:
    lines = run("summary", "lenet", "--format", "tsv").out.splitlines()
    header = lines[0].split("\t")
    row = dict(zip(header, lines[2].split("\t"), strict=True))
    assert row["path"] == "conv1"
    assert row["params"] == "156"
    assert row["input_shapes"] == "1x1x32x32"
    assert len(lines) == 14


def test_markdown_is_a_table_with_one_row_a_record(run) -> None:
    lines = run("summary", "lenet", "--format", "md", "--quiet").out.splitlines()
    assert lines[1].startswith("| --- |")
    assert len(lines) == 15


def test_formats_agree(run) -> None:
    body = run("summary", "repeat", "--format", "json").json
    md = run("summary", "repeat", "--format", "md", "--quiet").out
    plain = run("summary", "repeat", "--quiet").out
    for shown in (md, plain):
        assert f"{body['totals']['params']:,}" in shown
        assert f"{body['totals']['macs']:,}" in shown
    assert len(plain.splitlines()) == len(body["rows"]) + 1


class TestErrors:
    def test_unknown_model(self, run) -> None:
        run("summary", "lent").assert_error(2, "unknown model 'lent'", "did you mean 'lenet'?")

    def test_missing_file(self, run, net: Path) -> None:
        wrong = net.with_name("nett.py")
        run("summary", f"{wrong}:Net").assert_error(2, "does not exist", "net.py'?")

    def test_file_without_a_name(self, run, net: Path) -> None:
        run("summary", str(net)).assert_error(2, "no model in it", f"{net}:Net")

    def test_syntax_error(self, run, write: Write) -> None:
        path = write("broken.py", "x = 1\ndef f(:\n")
        run("summary", f"{path}:Net").assert_error(2, "syntax error", "line 2: def f(:")

    def test_file_that_raises(self, run, write: Write) -> None:
        path = write("raises.py", "import torch\nraise ValueError('no data')\n")
        run("summary", f"{path}:Net").assert_error(2, "ValueError: no data", "line 2")

    def test_file_that_imports_what_is_missing(self, run, write: Write) -> None:
        path = write("lacks.py", "import no_such_package_here\n")
        run("summary", f"{path}:Net").assert_error(2, "no_such_package_here", "pip install")

    def test_unknown_attribute(self, run, net: Path) -> None:
        result = run("summary", f"{net}:Nett")
        assert result.code == 2
        assert "did you mean 'Net'?" in result.err

    def test_attribute_that_is_no_model(self, run, net: Path) -> None:
        result = run("summary", f"{net}:number")
        assert result.code == 2
        assert "is int, not a model" in result.err

    def test_constructor_that_needs_arguments(self, run, net: Path) -> None:
        result = run("summary", f"{net}:NeedsArguments")
        assert result.code == 2
        assert "needs 'features'" in result.err
        assert "--set features=1" in result.err

    def test_unknown_constructor_argument(self, run) -> None:
        result = run("summary", "mlp", "--set", "hiden_features=3")
        result.assert_error(2, "no argument 'hiden_features'", "did you mean 'hidden_features'?")

    def test_missing_super_init(self, run, net: Path) -> None:
        result = run("summary", f"{net}:NoInit")
        assert result.code == 1
        assert "super().__init__()" in result.err

    def test_forward_that_raises_shows_the_rows_so_far(self, run, net: Path) -> None:
        result = run("summary", f"{net}:Mismatch", "--input", "1x4", "--format", "json")
        assert result.code == 1
        body = json.loads(result.out)
        assert [row["path"] for row in body["rows"]] == ["", "first", "relu", "second"]
        assert body["error"]["path"] == "second"
        assert body["error"]["input_shapes"] == [[1, 5]]
        assert "'second' (Linear)" in result.err

    def test_forward_with_a_mistake_needs_no_input_to_be_shown(self, run, net: Path) -> None:
        result = run("summary", f"{net}:Mismatch")
        assert result.code == 1
        assert "'second' (Linear) on (1, 5)" in result.err

    def test_forward_that_ends_the_program(self, run, write: Write) -> None:
        path = write(
            "leaves.py",
            "import sys\nfrom torch import nn\n\n\nclass Net(nn.Linear):\n"
            "    def __init__(self):\n        super().__init__(2, 2)\n\n"
            "    def forward(self, x):\n        sys.exit(5)\n",
        )
        result = run("summary", f"{path}:Net", "--input", "1x2")
        assert result.code == 1
        assert "SystemExit: 5" in result.err

    def test_file_with_a_parser_at_its_top_level(self, run, write: Write) -> None:
        path = write(
            "parses.py",
            "import argparse\nfrom torch import nn\n\nparser = argparse.ArgumentParser()\n"
            "parser.add_argument('--width', type=int, default=3)\nargs = parser.parse_args()\n\n\n"
            "def make():\n    return nn.Linear(args.width, 1)\n",
        )
        assert run("summary", f"{path}:make", "--format", "json").json["totals"]["params"] == 4

    def test_lazy_layers_need_no_input(self, run, write: Write) -> None:
        path = write(
            "lazy.py",
            "from torch import nn\n\n\ndef make():\n"
            "    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(),\n"
            "                         nn.LazyLinear(2))\n",
        )
        body = run("summary", f"{path}:make", "--format", "json").json
        assert body["totals"]["params"] == 4 * 27 + 4 + 8 + 2 * 4 * 222 * 222 + 2

    def test_too_many_inputs(self, run) -> None:
        words = ["--input", "1x1x32x32"] * 2
        run("summary", "lenet", *words).assert_error(2, "takes 1 input(s), 2 were given", "x")

    def test_configuration_that_names_no_model(self, run, write: Write) -> None:
        path = write("empty.toml", "")
        run("summary", str(path)).assert_error(2, "names no model", "[model]")

    def test_empty_target_and_folder(self, run, tmp_path: Path) -> None:
        run("summary", "").assert_error(2, "the target is empty", "modelcli list")
        run("summary", str(tmp_path)).assert_error(2, "is a folder, not a model", "hf:")

    def test_missing_batch_dimension(self, run) -> None:
        result = run("summary", "lenet", "--input", "1x32x32")
        assert result.code == 1
        assert "unsqueeze(0)" in result.err.splitlines()[-1]

    def test_wrong_rank(self, run) -> None:
        result = run("summary", "lenet", "--input", "32x32")
        assert result.code == 1
        assert "unsqueeze(0)" in result.err.splitlines()[-1]

    def test_wrong_dtype(self, run) -> None:
        result = run("summary", "lenet", "--input", "int64:1x1x32x32")
        assert result.code == 1
        assert "dtype" in result.err.splitlines()[-1]

    @pytest.mark.parametrize(
        "text", ["1xq", "x", "1x0x3", "a:b:c:1x2", "flot32:x:1", "99999999999999999999x1"]
    )
    def test_malformed_input(self, run, text: str) -> None:
        run("summary", "lenet", "--input", text).assert_error(2, f"'{text}'")

    def test_unknown_input_name(self, run) -> None:
        run("summary", "lenet", "--input", "y:1x1x32x32").assert_error(2, "takes no 'y'", "x")

    @pytest.mark.parametrize("size", ["0", "-1"])
    def test_batch_size_out_of_range(self, run, size: str) -> None:
        run("summary", "lenet", "--batch-size", size).assert_error(2, f"--batch-size {size}")

    def test_unknown_option(self, run) -> None:
        run("summary", "lenet", "--frmat", "json").assert_error(
            2, "no such option", "did you mean '--format'?"
        )

    def test_unknown_format(self, run) -> None:
        run("summary", "lenet", "--format", "xml").assert_error(2, "'xml'")

    def test_missing_target(self, run) -> None:
        run("summary").assert_error(2, "TARGET")

    def test_style_has_no_format(self, run) -> None:
        run("summary", "lenet", "--style", "torch", "--format", "json").assert_error(2, "--style")

    def test_checkpoint_has_no_structure(self, run, write: Write) -> None:
        path = write("model.safetensors", "")
        run("summary", str(path)).assert_error(2, "is a checkpoint", "modelcli params")

    def test_unknown_command(self, run) -> None:
        run("sumary", "lenet").assert_error(2, "unknown command 'sumary'", "'summary'?")

    def test_debug_shows_the_traceback(self, run, monkeypatch: pytest.MonkeyPatch) -> None:
        from modelcli.errors import ModelcliError

        monkeypatch.setenv("MODELCLI_DEBUG", "1")
        with pytest.raises(ModelcliError, match="unknown model"):
            run("summary", "lent")


@pytest.mark.parametrize(("width", "left_out"), [("50", "input"), ("36", "input, output")])
def test_a_narrow_terminal_says_what_it_leaves_out(run, monkeypatch, width, left_out):
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("LINES", "25")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    result = run("summary", "nest-mlp")
    assert result.code == 0
    lines = result.out.splitlines()
    gone = left_out.split(", ")
    titles = ["layer", "type", "input", "output", "params", "MACs"]
    assert lines[0].split() == [title for title in titles if title not in gone]
    said = " ".join(result.out.split())
    assert f"columns left out at this width: {left_out}; --format tsv has all" in said


@pytest.mark.parametrize("command", ["summary", "shapes"])
def test_verbose_says_why_what_is_too_large_does_not_run_without_memory(run, write, command):
    path = write("big.py", """
import torch
class Big(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(40_000, 40_000)
    def forward(self, x):
        return self.fc(x) if x.sum().item() > -1 else x
""")  # fmt: skip
    words = (command, f"{path}:Big", "--input", "1x40000")
    plain, told, silent = run(*words), run(*words, "-v"), run(*words, "-v", "-q")
    assert [result.code for result in (plain, told, silent)] == [2, 2, 2]
    assert "hint: --allow-real lets it; -v tells why it does not run without" in plain.err
    why = "meta: forward failed: RuntimeError: Tensor.item() cannot be called on meta tensors"
    assert told.err.splitlines()[0] == why
    assert told.err.splitlines()[-2:] == plain.err.splitlines()[-2:] == silent.err.splitlines()
    assert why not in plain.err


def test_coverage_speaks_where_something_is_not_counted_or_if_asked(run) -> None:
    assert "coverage" not in run("summary", "lenet").out
    assert "coverage  complete: 5 operations counted, 10 without MACs" in (
        run("summary", "lenet", "-v").out
    )
    failed = run("summary", "lenet", "--input", "1x3x32x32")
    assert "coverage  " in failed.out


def test_columns_are_those_asked_for_and_json_keeps_its_own(run) -> None:
    words = ("summary", "lenet", "--columns", "macs_share,kernel", "--sort", "macs", "--top", "2")
    lines = run(*words, "--format", "tsv").out.splitlines()
    assert lines == ["path\tmacs_share\tkernel", "conv2\t0.576203\t5x5", "conv1\t0.282339\t5x5"]
    rows = run(*words, "--format", "json").json["rows"]
    assert [(row["path"], row["params"], row["kernel"]) for row in rows] == [
        ("conv2", 2416, [5, 5]),
        ("conv1", 156, [5, 5]),
    ]


def test_activations_are_elements_and_have_their_bytes_beside_them(run) -> None:
    words = ("summary", "lenet", "--columns", "activations,activation_bytes", "--depth", "1")
    lines = run(*words, "--format", "tsv").out.splitlines()
    assert lines[0] == "path\tactivations\tactivation_bytes"
    assert lines[2] == "conv1\t4704\t18816"  # 6 x 28 x 28 of 4 bytes
    table = run(*words).out.splitlines()
    assert table[3].split()[-2:] == ["-", "-"]  # a relu gives none


def test_a_folded_row_says_for_programs_how_far_it_reaches(run, write: Write) -> None:
    path = write(
        "deep.py",
        "from torch import nn\nNet = lambda: nn.Sequential(*map(nn.Linear, [4] * 3, [4] * 3))",
    )
    words = ("summary", f"{path}:Net", "--input", "1x4", "--fold", "--format")
    lines = run(*words, "tsv").out.splitlines()
    assert [line.split("\t")[:3] for line in lines] == [
        ["path", "last_path", "repeat"], ["", "", "1"], ["0", "2", "3"]
    ]  # fmt: skip
    rows = run(*words, "json").json["rows"]
    assert [(row["path"], row["last_path"], row["repeat"]) for row in rows] == [
        ("", None, 1),
        ("0", "2", 3),
    ]


def test_a_mistyped_column_is_told_before_torch_is_imported(run) -> None:
    result = run("summary", "lenet", "--columns", "kernal")
    result.assert_error(2, "there is no column 'kernal'", "did you mean 'kernel'?")
    run("summary", "lenet", "--top", "0").assert_error(2, "0")


def test_what_print_hides_is_marked_and_said_once(run) -> None:
    said = "'*' marks what print(model) does not show"
    functions = run("summary", "lenet").out
    assert "  relu *  " in functions
    assert "  conv1    " in functions
    assert functions.count(said) == 1
    own = run("summary", "linear").out
    assert "  w *  " in own
    listed = run("summary", "list-dense").out  # print(model) shows what a ParameterList holds
    assert "    0      " in listed
    assert "  mm *  " in listed
    kept_in_a_plain_list = run("summary", "sequential-list", "--format", "json").json
    assert [row["printed"] for row in kept_in_a_plain_list["rows"]] == [True, False, False, False]
    assert said not in run("summary", "nest-mlp").out
    assert "relu\t" in run("summary", "lenet", "--format", "tsv").out


def test_colour_goes_by_kind_of_row(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = run("summary", "linear").out
    assert "\x1b[35m  w *" in shown
    assert "\x1b[36m  mm *" in shown
    assert "\nLinear " in shown  # a module has no colour

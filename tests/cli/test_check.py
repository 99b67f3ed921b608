"""``modelcli check`` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run

Write = Callable[[str, str], Path]

BROKEN = """
import torch
from torch import nn

class NoInit(nn.Module):
    def __init__(self):
        self.fc = nn.Linear(4, 2)

class Sizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(100, 2)
    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))

class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 4)
        self.fc2 = nn.Linear(4, 2)
    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)).detach())

class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.idle = nn.Linear(4, 2)
    def forward(self, x):
        return self.fc(x)

class Typo(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, x):
        return self.fcc(x)

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.LazyLinear(2)
    def forward(self, x):
        return self.fc(x)
"""


@pytest.fixture
def net(write: Write) -> Path:
    return write("net.py", BROKEN)


@pytest.mark.parametrize(
    ("model", "rules", "code"),
    [
        ("sequential-list", ["MC101", "MC104"], 1),
        ("centered", ["MC401"], 1),
        ("parallel", ["MC401", "MC402"], 1),
        ("functional-linear", ["MC205"], 1),
        ("shared", ["MC601", "MC105"], 0),
        ("dict-dense", ["MC201", "MC201"], 0),
        ("lenet", [], 0),
        ("mlp", ["MC605"], 0),
    ],
)
def test_each_tutorial_model_names_its_lesson(
    run: Run, model: str, rules: list[str], code: int
) -> None:
    done = run("check", model, "--format", "json")
    assert [finding["rule"] for finding in done.json["findings"]] == rules
    assert done.code == code


def test_json_has_the_stable_keys(run: Run) -> None:
    done = run("check", "sequential-list", "--format", "json", "--select", "MC1")
    body = done.json
    assert body["schema"] == "modelcli.check/1"
    assert body["target"] == "sequential-list"
    finding = body["findings"][0]
    assert finding["rule"] == "MC101"
    assert finding["severity"] == "error"
    assert finding["path"] == "layers"
    assert "2,644 parameters that are not registered" in finding["message"]
    assert "ModuleList" in finding["fix"]
    assert finding["file"].endswith("models/sequential_list.py")
    assert finding["line"] == 23
    assert body["rules_run"] == ["MC101", "MC102", "MC103", "MC104", "MC105", "MC106"]
    assert body["rules_skipped"] == {}


def test_constructor_that_raises_is_a_finding(run: Run, net: Path) -> None:
    done = run("check", f"{net}:NoInit", "--input", "1x4", "--format", "json")
    assert done.code == 1
    (finding,) = done.json["findings"]
    assert finding["rule"] == "MC001"
    assert "super().__init__()" in finding["fix"]
    assert finding["line"] == 7
    assert done.json["rules_skipped"]["MC002"] == "the constructor raises (MC001)"


def test_forward_that_raises_is_a_finding_with_its_mend(run: Run, net: Path) -> None:
    done = run("check", f"{net}:Sizes", "--input", "2x1x8x8", "--format", "json")
    assert done.code == 1
    (finding,) = done.json["findings"]
    assert (finding["rule"], finding["path"]) == ("MC002", "fc")
    assert "mat1 and mat2 shapes cannot be multiplied (2x144 and 100x2)" in finding["message"]
    assert "nn.Linear(144, ...)" in finding["fix"]
    assert finding["line"] == 15
    assert "MC101" in done.json["rules_run"]
    assert done.json["rules_skipped"]["MC301"] == "the forward pass failed (MC002)"


def test_forward_that_raises_for_every_input_is_a_finding(run: Run, net: Path) -> None:
    done = run("check", f"{net}:Typo", "--format", "json")
    assert done.code == 1
    (finding,) = done.json["findings"]
    assert finding["rule"] == "MC002"
    assert "no attribute 'fcc'" in finding["message"]
    assert done.json["rules_skipped"]["MC301"] == "the forward pass failed (MC002)"


def test_lazy_layers_are_given_their_sizes(run: Run, net: Path) -> None:
    done = run("check", f"{net}:Lazy", "--input", "2x4", "--format", "json")
    assert (done.code, done.json["findings"]) == (0, [])
    assert "MC105" in done.json["rules_run"]


def test_missing_batch_dimension_is_named(run: Run) -> None:
    done = run("check", "lenet", "--input", "1x32x32", "--format", "json")
    assert done.code == 1
    assert done.json["findings"][0]["rule"] == "MC002"
    assert "unsqueeze(0)" in done.json["findings"][0]["fix"]


def test_select_and_ignore(run: Run) -> None:
    only = run("check", "dict-dense", "--select", "MC105,MC201", "--format", "json").json
    assert only["rules_run"] == ["MC105", "MC201"]
    rest = run(
        "check", "dict-dense", "--select", "MC1,MC2", "--ignore", "MC20", "--format", "json"
    ).json
    assert rest["rules_run"] == ["MC101", "MC102", "MC103", "MC104", "MC105", "MC106"]


def test_strict_counts_warnings(run: Run) -> None:
    assert run("check", "dict-dense", "--select", "MC201").code == 0
    assert run("check", "dict-dense", "--select", "MC201", "--strict").code == 1
    assert run("check", "shared", "--select", "MC105", "--strict").code == 0


def test_pyproject_holds_select_and_ignore(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("pyproject.toml", '[tool.modelcli.check]\nselect = ["MC2"]\nignore = ["mc201"]\n')
    inner = path.parent / "deep" / "er"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    body = run("check", "dict-dense", "--format", "json").json
    assert body["rules_run"] == ["MC202", "MC203", "MC204", "MC205", "MC206"]
    body = run("check", "dict-dense", "--select", "MC105", "--format", "json").json
    assert body["rules_run"] == ["MC105"]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[tool.modelcli.check]\nselct = []\n", "unknown key 'selct'", "did you mean 'select'?"),
        ("[tool.modelcli.check]\nselect = 'MC1'\n", "'select'", "give a list"),
        ("[tool.modelcli.check]\nselect = ['MC9']\n", "no rule 'MC9'", "--rules' lists all"),
        ("[tool.modelcli\n", "cannot be read", "valid TOML"),
        ("[tool]\nmodelcli = {check = 3}\n", "is no table", "table"),
    ],
)
def test_pyproject_mistakes_are_told(
    run: Run,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    message: str,
    hint: str,
) -> None:
    monkeypatch.chdir(write("pyproject.toml", text).parent)
    run("check", "lenet").assert_error(2, message, hint)


def test_github_annotations(run: Run, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(net.parent)
    done = run("check", "net.py:Cut", "--input", "2x4", "--format", "github")
    assert done.code == 1
    (line,) = done.out.splitlines()
    start = "::error file=net.py,line=23,title=MC202 runs%2C but gets no gradient::fc1: "
    assert line.startswith(start)
    assert "%0A" in line


def test_github_says_nothing_of_a_sound_model(run: Run) -> None:
    done = run("check", "lenet", "--format", "github")
    assert (done.code, done.out) == (0, "")


def test_table_in_a_pipe_is_one_record_a_line(run: Run, net: Path) -> None:
    done = run("check", f"{net}:Unused", "--input", "2x4", "--select", "MC2")
    lines = done.out.splitlines()
    assert lines[0].split() == ["rule", "severity", "where", "what", "line", "why", "instead"]
    assert lines[1].startswith("MC201  warning   idle   10 parameters that no pass used")
    assert "net.py:29" in lines[1]
    assert lines[-1] == "1 warning; 6 rules run"


def test_tsv_and_markdown(run: Run) -> None:
    tsv = run("check", "shared", "--select", "MC105", "--format", "tsv").out.splitlines()
    assert tsv[0].split("\t") == ["rule", "severity", "path", "message", "line", "why", "fix"]
    assert tsv[1].split("\t")[:3] == ["MC105", "info", "0"]
    md = run("check", "shared", "--select", "MC105", "--format", "md").out
    assert md.startswith("| rule | severity | where |")


def test_verbose_says_why_rules_were_skipped(run: Run) -> None:
    done = run("check", "lenet", "--select", "MC6,MC7", "-v")
    assert "skipped MC606: needs the object's size; --object PIXELS gives it" in done.err
    assert "skipped MC701, MC702: needs training; --train runs it" in done.err


def test_rules_and_explain(run: Run) -> None:
    done = run("check", "--rules")
    assert done.code == 0
    assert len([line for line in done.out.splitlines() if line.startswith("MC")]) == 38
    listed = run("check", "--rules", "--format", "json").json["rules"]
    assert listed[0]["rule"] == "MC001"
    page = run("check", "--explain", "mc104").out
    assert page.startswith("# MC104: the state_dict does not hold all state")
    assert page.index("## Wrong") < page.index("## Right")
    page = json.loads(run("check", "--explain", "MC104", "--format", "json").out)
    assert "persistent=False" in page["wrong"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--explain", "MC999"], "no rule 'MC999'", "--rules"),
        ([], "no model was given", "--rules lists the rules"),
        (["lenet", "--select", "X1"], "no rule 'X1'", "MC101"),
        (["lenet", "--ignore", "MC10,MC42"], "no rule 'MC42'", "--rules"),
        (["lenet", "--object", "0"], "--object 0 is no size", "pixels"),
        (["lenet", "--loss", "crossentropy"], "crossentropy", "did you mean 'cross_entropy'?"),
        (["lenet", "--format", "xml"], "xml", "check --help"),
        (["lent"], "unknown model 'lent'", "did you mean 'lenet'?"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    run: Run, words: list[str], message: str, hint: str
) -> None:
    run("check", *words).assert_error(2, message, hint)


def test_loss_decides_on_softmax(run: Run, write: Write) -> None:
    net = write(
        "soft.py",
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Linear(4, 3), nn.Softmax(1))\n",
    )
    words = ("check", f"{net}:Net", "--input", "2x4", "--select", "MC504")
    assert run(*words, "--loss", "cross_entropy").code == 1
    assert run(*words, "--loss", "nll").code == 0
    assumed = run(*words, "--format", "json")
    assert assumed.code == 0
    assert assumed.json["findings"][0]["severity"] == "warning"


def test_train_learns_one_batch(run: Run) -> None:
    done = run("check", "lenet", "--train", "--select", "MC7", "--format", "json")
    assert done.code == 0, done.out
    assert done.json["rules_run"] == ["MC701", "MC702"]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_terminal_breaks_findings_between_words(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = run("check", "sequential-list").out.splitlines()
    code = "self.layers = [nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 20)]"
    assert all(len(line) <= width for line in lines if code not in line and " at " not in line)
    assert sum(code in line for line in lines) == 1
    assert "error MC101  layers in a plain" in lines[0]
    words = " ".join(" ".join(lines).split())
    assert "layers in a plain list, tuple or dict: 'layers'" in words

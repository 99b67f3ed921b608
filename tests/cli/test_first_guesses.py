"""What people type first, and what each is told: the right command, option or name, or nothing."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelcli.cli import main
from modelcli.cli._commands import COMMANDS

ROOT = Path(__file__).parents[2]

# command line: what is asked, and what is not said
GUESSES = {
    # a library's model
    "summary resnet50": ("'torchvision:resnet50' or 'timm:resnet50'", "lenet"),
    "train resnet50": ("'torchvision:resnet50' or 'timm:resnet50'", "lenet"),
    "summary ResNet-50": ("'torchvision:resnet50' or 'timm:resnet50'", "lenet"),
    "summary resent50": ("'torchvision:resnet50'", "lenet"),
    "list resnet": ("torchvision:resnet50", "lenet"),
    "list 'resnet*'": ("torchvision:resnet50", "lenet"),
    "summary densenet": ("torchvision:densenet121", "list-dense"),
    "params vgg16": ("'torchvision:vgg16' or 'timm:vgg16'", "lenet"),
    "summary gpt2": ("'hf:gpt2'", "lenet"),
    "summary bert-base-uncased": ("'hf:bert-base-uncased'", "lenet"),
    "diff resnet50 lenet": ("'torchvision:resnet50' or 'timm:resnet50'", "'lenet'"),
    "summary meta-llama/Llama-2-7b": ("hf:meta-llama/Llama-2-7b", "did you mean"),
    "summary vgg": ("torchvision:vgg16", "did you mean"),
    "summary lenet5": ("'lenet'", "timm"),
    "summary efficientnt": ("'hf:efficientnet'", "lenet'"),
    # a suggestion that is wrong is worse than none
    "summary unet": ("hint: 'modelcli list' shows all", "did you mean"),
    "summary lstm": ("hint: 'modelcli list' shows all", "did you mean"),
    "summary gan": ("hint: 'modelcli list' shows all", "did you mean"),
    "summary efficientdet": ("hint: 'modelcli list' shows all", "did you mean"),
    "summary convnet": ("hint: 'modelcli list' shows all", "did you mean"),
    "summary gpt3": ("hint: 'modelcli list' shows all", "did you mean"),
    "summary resnet51": ("timm:resnet51q", "did you mean"),
    "summary model": ("'modelcli list' shows all", "did you mean"),
    # ours
    "summary lent": ("'lenet'", "timm"),
    "summary LENET": ("'lenet'", "timm"),
    "summary conv_same": ("'conv-same'", "timm"),
    # commands
    "lenet": ("'modelcli summary lenet'", "unknown"),
    "lenet --depth 2": ("'modelcli summary lenet --depth 2'", "unknown"),
    "lent": ("'modelcli summary lenet'", "timm"),
    "resnet50": ("'modelcli summary torchvision:resnet50'", "lenet"),
    "net.py:Net": ("'modelcli summary net.py:Net'", "unknown"),
    "show lenet": ("'summary'", "shapes'"),
    "cmp lenet mlp": ("'diff'", "summary'"),
    "fit lenet": ("'train'", "list'"),
    "ls": ("'list'", "train'"),
    "parameters lenet": ("'params'", "summary'"),
    "sumary lenet": ("'summary'", "params'"),
    "help nonsense": ("the commands are summary", "did you mean"),
    # options
    "--format json summary lenet": ("modelcli summary lenet --format json", "did you mean"),
    "-d 2 summary lenet": ("modelcli summary lenet -d 2", "did you mean"),
    "train lenet --gpu": ("'--device cuda'", "--input"),
    "train lenet --bs 4": ("'--batch-size'", "--set"),
    "summary lenet --bs 4": ("'--batch-size'", "--set"),
    "summary lenet --shape 1x1x32x32": ("'--input'", "--set"),
    "train lenet --learning-rate 1": ("'--lr'", "--seed"),
    "train lenet --iterations 4": ("'--steps'", "--init"),
    "train lenet --num-epochs 4": ("'--epochs'", "--seed"),
    "summary lenet --json": ("'--format json'", "--set"),
    "summary lenet --formta json": ("'--format'", "--set"),
    "summary lenet --batch_size 4": ("'--batch-size'", "--set"),
    "summary lenet --device cuda": ("it is an option of params", "did you mean"),
    "train lenet --depth 2": ("it is an option of summary", "did you mean"),
    "summary lenet --zebra": ("'modelcli summary --help'", "did you mean"),
    # words of stacks
    "shapes --input 1x3x8x8 pool:2": ("'maxpool' or 'avgpool'", "target"),
    "shapes --input 1x3x8x8 conv:4,k3 pool:2": ("'maxpool' or 'avgpool'", "target"),
    "shapes --input 1x3x8x8 conv:4,k3 tconv:2": ("'convT'", "'conv'"),
    "shapes --input 1x3x8x8 conv:4,k3 lrelu": ("'leakyrelu'", "'prelu'"),
    "shapes --input 1x3x8x8 up:2": ("'upsample'", "target"),
    "shapes --input 1x3x8x8 conv:4,k3 up:2": ("'upsample'", "target"),
    # values
    "train mlp --data mnist": ("'digits'", "'linear'"),
    "train mlp --loss l2x": ("a loss by name", "did you mean"),
    "train mlp --init he": ("'kaiming_normal' or 'kaiming_uniform'", "'eye'"),
    "train mlp --optimizer ADM": ("'adam'", "'sgd'"),
    "run linear --target 0,0,0 --step ADM:lr=1": ("'adam'", "'sgd'"),
    "summary net.py": ("hint: write net.py:Net", "did you mean"),
    "summary net.py:Net --set bias=False": ("hint: write false", "quoted"),
    "train mlp --set momentum=0.5": ("'optimizer.momentum'", "'train."),
    "train mlp --set foo.name=adam": ("hint: ", "did you mean"),
    "train mlp --set optimzer.name=adam": ("'optimizer.name'", "'data."),
    "train mlp --set train.bs=4": ("'train.batch_size'", "'train.steps'"),
    "check lenet --loss xent": ("'cross_entropy'", "'mse'"),
    "list tim vit_tiny_patch16_224": ("'timm'", "lenet"),
}


@pytest.mark.parametrize("line", GUESSES)
def test_a_first_guess(line: str, run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    told, not_told = GUESSES[line]
    result = run(*shlex.split(line))
    result.assert_error(2, "", told)
    assert not_told not in result.err


NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, sizes=(4, 4), norm=None, weights="DEFAULT", **more):
        super().__init__()
        self.fc = nn.Linear(*sizes, bias=more.get("bias", True))
        self.norm = norm(sizes[1]) if norm else nn.Identity()
        assert weights in (None, "DEFAULT")

    def forward(self, x):
        return self.norm(self.fc(x))

    @classmethod
    def from_name(cls, name="small"):
        return cls((4, {"small": 2, "large": 6}[name]))

class Zoo:
    class Inner(Net):
        pass

MODELS = {"small": Net}
"""

# command line: the number of parameters that it shows
WORKS = {
    "summary LeNet": 61_706,
    "summary lenet --input '1 1 32 32'": 61_706,
    "summary lenet --input '(1,1,32,32)'": 61_706,
    "summary lenet --input '(1, 1, 32, 32)'": 61_706,
    "summary ./net.py:Net": 20,
    "summary net:Net": 20,
    "summary net.py:Net.from_name": 10,
    "params net.py:Net.from_name --set name=large": 30,
    "summary net.py:Zoo.Inner": 20,
    "summary 'net.py:MODELS[\"small\"]'": 20,
    "summary net.py:Net --set weights=None --set 'sizes=(4,3)'": 15,
    "summary net.py:Net --set norm=torch.nn.BatchNorm1d": 28,
    "summary net.py:Net --set bias=false": 16,
    "params net.py:Net -- --data x": 20,
}


@pytest.mark.parametrize("line", WORKS)
def test_a_first_guess_that_works(line: str, run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET.replace("MODELS =", "class _Other: ...\nMODELS ="))
    words = shlex.split(line)
    at = words.index("--") if "--" in words else len(words)
    result = run(*words[:at], "--format", "json", *words[at:])
    assert result.code == 0, result.err
    assert result.json["totals"]["params"] == WORKS[line]


def test_the_class_that_is_printed_is_its_model(run: Any) -> None:
    named, by_class = (run("summary", name, "--format", "json") for name in ("lenet", "LeNet"))
    assert by_class.code == 0
    assert by_class.json["totals"] == named.json["totals"]
    assert run("params", "NestMLP", "--format", "json").json["totals"]["params"] == 4_084


def test_help_is_a_word_too(run: Any) -> None:
    assert run("help").out == run("--help").out
    assert run("help", "summary").out == run("summary", "--help").out


def test_the_commands_fit_the_help(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = run("--help").out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)
    assert all(len(line) <= 80 for line in listed)


# words as bash cuts them, and what is offered for the last, or for the rest of it
TABS = {
    "modelcli su": "summary",
    "modelcli summary len": "lenet",
    "modelcli params auto": "autoencoder",
    "modelcli check lenet --loss hu": "huber",
    "modelcli diff lenet al": "alexnet",
    "modelcli shapes lin": "linear",
    "modelcli summary lenet --columns kernel,str": "kernel,stride",
    "modelcli compare lenet --sort mac": "macs",
    "modelcli help su": "summary",
    "modelcli help pa": "params",
    "modelcli summary net": "net.py:Inner net.py:Net net.py",
    "modelcli summary net.py :": "Inner Net",
    "modelcli summary net.py : N": "Net",
    "modelcli train lenet --optimizer adam": "adam adamax adamw",
    "modelcli train lenet --loss = ms": "mse",
    "modelcli train lenet --data ": (
        "auto copy digits linear prototypes reconstruction teacher tokens"
    ),
    "modelcli train lenet --data pro": "prototypes",
    "modelcli train lenet --init ort": "orthogonal",
    "modelcli train lenet --schedule ": "constant cosine linear step",
    "modelcli train lenet --device c": "cpu cuda",
    "modelcli check lenet --select MC101": "MC101",
    "modelcli check --explain MC10": "MC101 MC102 MC103 MC104 MC105 MC106",
    "modelcli list tor": "torchvision",
    "modelcli summary torchvision : resnet1": "resnet101 resnet152 resnet18",
    "modelcli summary lenet --format ": "table tsv json md",
}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize("typed", ["modelcli help su", "modelcli su", " modelcli  help  su"])
def test_help_completes_in_the_other_shells(
    capsys: Any, typed: str, shell: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("_MODELCLI_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
    with pytest.raises(SystemExit):
        main([])
    shown = capsys.readouterr().out
    assert "summary" in shown
    assert "check" not in shown


MISTAKES = (
    "train lenet --optimizer adm", "train lenet --optimizer nowhere.optim:Lion",
    "run lenet --target 3 --step adm:lr=1", "run lenet --weights nothing.pt",
    "run lenet --weights README.md",
)  # fmt: skip


def test_a_wrong_optimizer_or_weights_are_told_without_torch() -> None:
    script = (
        "import sys\n"
        "from modelcli.cli import main\n"
        f"codes = [main(line.split()) for line in {MISTAKES!r}]\n"
        "assert codes == [2] * len(codes), codes\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("typed", TABS)
def test_tab_offers_closed_lists_without_torch(typed: str, tmp_path: Path) -> None:
    code = "import torch.nn as nn\nclass Inner(nn.Module): ...\nclass Net(nn.Module): ...\n"
    (tmp_path / "net.py").write_text(code)
    script = (
        "import sys, runpy\n"
        "sys.argv = ['modelcli']\n"
        "try:\n"
        "    runpy.run_module('modelcli', run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys()\n"
    )
    words = {"COMP_WORDS": typed.replace(" ", "\n"), "COMP_CWORD": str(typed.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "_MODELCLI_COMPLETE": "complete_bash", **words},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == TABS[typed].split()

"""What a person sees, letter for letter: every command in every format, at a pinned width.

``MODELCLI_UPDATE_GOLDEN=1 pytest tests/test_golden.py`` writes the files anew; read the diff.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from modelcli.cli import main

GOLDEN = Path(__file__).parent / "golden"
WIDTH, HEIGHT = "80", "25"  # rich heeds COLUMNS on a dumb terminal only along with LINES

COMMANDS = {
    "summary-lenet": ["summary", "lenet"],
    "summary-shared": ["summary", "shared"],
    "summary-dict-dense": ["summary", "dict-dense"],
    "params-list-dense": ["params", "list-dense"],
    "shapes-lenet": ["shapes", "lenet"],
    "diff": ["diff", "linear", "perceptron"],
    "check-sequential-list": ["check", "sequential-list"],
    "list": ["list"],
    "list-torchvision": ["list", "torchvision", "resnet*"],
    "env": ["env"],
    "train": ["train", "perceptron", "--steps", "4", "--device", "cpu", "--log-every", "2"],
}
FORMATS = ("terminal", "table", "tsv", "json", "md")

# What differs from one machine or moment to the next.
_VARYING = (
    (re.compile(r'("(?:torch|torch_version|python|platform|executable)": )"[^"]*"'), r'\1"..."'),
    (re.compile(r'("[a-z_]*_by_rank": )\[[^]]*\]'), r"\1[...]"),
    (re.compile(r'("[a-z_0-9]*(?:_s|_per_s|memory_bytes|threads)": )[-0-9.e+null]+'), r"\g<1>0"),
    (
        re.compile(
            r"^(\| |│ )?(speed|time|memory|peak[ _]memory|samples_per_s|elapsed_s)(\s).*$", re.M
        ),
        r"\2 ...",
    ),
)


def _mask(name: str, text: str) -> str:
    text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    text = text.replace(f"{GOLDEN.parent.parent}/", "")
    if name == "train":  # processors differ in the last digits of a sum
        text = re.sub(r"(\d\.\d{3})\d{4,}", r"\1", text)
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    if name.startswith("env"):  # its keys are the contract, its values this machine's
        text = re.sub(r'(: |\t|  +|\| )[^\n"{}\[\]|]*[0-9/+][^\n{}\[\]|]*', r"\1...", text)
    return text


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("name", COMMANDS)
def test_output_is_as_recorded(
    name: str,
    shape: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", WIDTH)
    monkeypatch.setenv("LINES", HEIGHT)
    monkeypatch.chdir(GOLDEN.parent.parent)  # paths are shown relative to the folder
    words = list(COMMANDS[name])
    if shape == "terminal":
        monkeypatch.setenv("TERM", "dumb")  # boxes and widths as on a terminal, no colours
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    elif shape != "table":
        words += ["--format", shape]
    main(words)
    shown = _mask(name, capsys.readouterr().out)
    path = GOLDEN / f"{name}.{'txt' if shape == 'terminal' else shape}"
    if os.environ.get("MODELCLI_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
    assert shown.strip()

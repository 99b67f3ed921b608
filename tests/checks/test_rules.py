"""Every rule finds its fault, and leaves alone what looks like it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from checks.made import Pair, check, pairs
from conftest import Run

from modelcli.checks.catalogue import own_rules
from modelcli.checks.record import DEFAULT_TRAIN_STEPS, Options
from modelcli.checks.rule import IMPORTS

PAGES = Path(__file__).parents[2] / "docs" / "checks"
# One model of a kind is nothing to make twice: what raises is the fault itself.
_ONE_PAIR = {"MC001", "MC002"}


def read_page(rule: str) -> tuple[str, str, list[str]]:
    """Return the wrong example, the right one and the words of the command that a page prints."""
    page = (PAGES / f"{rule}.md").read_text(encoding="utf-8")
    wrong, right = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (command,) = re.findall(r"`(modelcli check net\.py:Net [^`]*)`", page)
    return wrong, right, shlex.split(command)[1:]


@pytest.mark.parametrize("rule", [rule.id for rule in own_rules()])
def test_the_command_of_a_page_finds_its_wrong_example_and_not_the_right_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    wrong, right, words = read_page(rule)
    for kind, code in (("wrong", wrong), ("right", right)):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "net.py").write_text(IMPORTS + code)
        monkeypatch.chdir(folder)
        body = run(*words, "--format", "json").json
        found = [finding for finding in body["findings"] if finding["rule"] == rule]
        assert all(finding[key] for finding in found for key in ("message", "why", "fix"))
        assert bool(found) == (kind == "wrong"), body
        assert rule in body["rules_run"], body["rules_skipped"]


def test_options_are_written_as_the_command_line_takes_them() -> None:
    assert Options().words() == []
    options = Options(loss="mse", object_size=32, train_steps=DEFAULT_TRAIN_STEPS)
    assert options.words() == ["--loss", "mse", "--object", "32", "--train"]
    options = Options(train_steps=7, allow_real=True, select=("MC1", "MC203"), ignore=("MC105",))
    assert options.words() == [
        "--train-steps", "7", "--allow-real", "--select", "MC1,MC203", "--ignore", "MC105",
    ]  # fmt: skip


@pytest.mark.parametrize("pair", list(pairs()), ids=lambda pair: f"{pair.rule} {pair.name}")
def test_fault_is_found_and_its_lookalike_is_not(pair: Pair) -> None:
    wrong = check(pair.wrong, pair.input, **pair.options)
    assert pair.rule in [finding.rule for finding in wrong.findings], wrong
    right = check(pair.right, pair.input, **pair.options)
    assert pair.rule not in [finding.rule for finding in right.findings], right
    assert pair.rule in right.rules_run, right.rules_skipped


def test_every_rule_has_a_pair() -> None:
    counted = [pair.rule for pair in pairs()]
    for rule in own_rules():
        assert rule.id in _ONE_PAIR or counted.count(rule.id) >= 1, rule.id


def test_ids_are_unique_and_sorted() -> None:
    ids = [rule.id for rule in own_rules()]
    assert ids == sorted(set(ids))
    assert len(ids) == 38

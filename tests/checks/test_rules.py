"""Every rule finds its fault, and leaves alone what looks like it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from checks.made import Pair, check, pairs

from modelcli.checks.catalogue import all_rules
from modelcli.checks.record import Report
from modelcli.checks.rule import Rule

PREAMBLE = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n\n"
# One model of a kind is nothing to make twice: what raises is the fault itself.
_ONE_PAIR = {"MC001", "MC002"}


def run_example(rule: type[Rule], kind: str, folder: Path) -> Report:
    path = folder / f"{rule.id.lower()}_{kind}.py"
    path.write_text(PREAMBLE + getattr(rule, kind))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    try:
        return check(
            module.Net,
            rule.input,
            loss=rule.loss,
            object_size=getattr(rule, "object_size", None),
            train_steps=40 if rule.needs == "training" else 0,
        )
    finally:
        del sys.modules[path.stem]


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_wrong_example_is_found_and_right_one_is_not(rule: type[Rule], tmp_path: Path) -> None:
    wrong = run_example(rule, "wrong", tmp_path)
    found = [finding for finding in wrong.findings if finding.rule == rule.id]
    assert found, wrong
    assert all(finding.message and finding.why and finding.fix for finding in found)
    right = run_example(rule, "right", tmp_path)
    assert rule.id in right.rules_run, right.rules_skipped
    assert not [finding for finding in right.findings if finding.rule == rule.id], right.findings


@pytest.mark.parametrize("pair", list(pairs()), ids=lambda pair: f"{pair.rule} {pair.name}")
def test_fault_is_found_and_its_lookalike_is_not(pair: Pair) -> None:
    wrong = check(pair.wrong, pair.input, **pair.options)
    assert pair.rule in [finding.rule for finding in wrong.findings], wrong
    right = check(pair.right, pair.input, **pair.options)
    assert pair.rule not in [finding.rule for finding in right.findings], right
    assert pair.rule in right.rules_run, right.rules_skipped


def test_every_rule_has_two_pairs() -> None:
    counted = [pair.rule for pair in pairs()]
    for rule in all_rules():
        assert rule.id in _ONE_PAIR or counted.count(rule.id) >= 1, rule.id


def test_ids_are_unique_and_sorted() -> None:
    ids = [rule.id for rule in all_rules()]
    assert ids == sorted(set(ids))
    assert len(ids) == 36

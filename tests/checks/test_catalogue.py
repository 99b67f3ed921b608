"""Rules of other packages, and rules that fail by their own fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from checks.made import check
from conftest import Run
from torch import nn

from modelcli.checks.catalogue import all_rules, own_rules
from modelcli.checks.faults import fault_of
from modelcli.checks.rules.registration import PlainContainer, attributes

ACME = """
from modelcli.checks.record import Options, Severity
from modelcli.checks.rule import Rule

class _Acme(Rule):
    why = "Ours are wide."
    fix = "Make it wider."
    input = "2x4"
    wrong = right = "class Net(nn.Linear): ..."

class Narrow(_Acme):
    id = "ACME101"
    title = "a narrow layer"
    severity = Severity.ERROR
    def find(self, context):
        for name, module in context.built.named_modules():
            if getattr(module, "out_features", 8) < 8:
                yield self.found(name, f"only {module.out_features} wide")

class Mistyped(_Acme):
    id = "ACME102"
    title = "mistyped"
    def find(self, context):
        yield self.found("fc", "said before it fails")
        len(context.built) + "1"

class Careless(_Acme):
    id = "ACME103"
    title = "careless"
    def find(self, context):
        yield "not a finding"

class AsksTheModel(_Acme):
    id = "ACME104"
    title = "asks the model"
    def find(self, context):
        context.built.describe()
        yield from ()

RULES = (Narrow, Mistyped, Careless, AsksTheModel)
TAKEN = type("Taken", (_Acme,), {"id": "MC101", "title": "taken", "find": Narrow.find})
UNTITLED = type("Untitled", (_Acme,), {"id": "ACME105"})
NOT_A_RULE = 3
"""
NET = """
from torch import nn

class Net(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
    def describe(self):
        return self.words  # AttributeError, of the model
"""


def install(folder: Path, *entry_points: str) -> None:
    """Make a folder of sys.path look like an installed package with entry points."""
    (folder / "acme.py").write_text(ACME)
    info = folder / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[modelcli.checks]", *entry_points]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def test_a_package_adds_its_rules_through_an_entry_point(run: Run, folder: Path) -> None:
    install(folder, "acme = acme:RULES")
    assert [rule.id for rule in all_rules()][len(own_rules()) :] == [
        "ACME101", "ACME102", "ACME103", "ACME104",
    ]  # fmt: skip
    done = run("check", "net.py:Net", "--input", "2x4", "--select", "ACME101", "--format", "json")
    assert done.code == 1
    (finding,) = done.json["findings"]
    assert (finding["rule"], finding["message"]) == ("ACME101", "only 3 wide")
    assert "a narrow layer" in run("check", "--rules").out
    assert run("check", "--explain", "ACME101").out.startswith("# ACME101: a narrow layer")


def test_a_single_class_is_enough(folder: Path) -> None:
    install(folder, "acme = acme:Narrow")
    assert [rule.id for rule in all_rules()][-1] == "ACME101"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("acme:TAKEN", "the id 'MC101' is taken by modelcli.checks.rules.registration"),
        ("acme:UNTITLED", "Untitled does not set title"),
        ("acme:NOT_A_RULE", "3 is no subclass of modelcli.checks.rule.Rule"),
        ("no_such_acme:RULES", "No module named 'no_such_acme'"),
    ],
)
def test_rules_that_cannot_be_used_are_named_and_left_out(
    folder: Path, value: str, reason: str
) -> None:
    install(folder, f"acme = {value}")
    with pytest.warns(RuntimeWarning, match=f"'acme' .* are left out: {reason}"):
        assert all_rules() == own_rules()


def test_a_fault_of_a_rule_is_said_and_the_other_rules_go_on(run: Run, folder: Path) -> None:
    install(folder, "acme = acme:RULES")
    words = ("check", "net.py:Net", "--input", "2x4", "--select", "ACME,MC101")
    done = run(*words, "--format", "json")
    skipped = done.json["rules_skipped"]
    assert skipped == {
        "ACME102": "a fault of acme in this rule: TypeError: object of type 'Net' has no len()",
        "ACME103": "a fault of acme in this rule: TypeError: a rule yields findings, not str",
        "ACME104": "the rule could not look: AttributeError: 'Net' object has no attribute 'words'",
    }
    assert [finding["rule"] for finding in done.json["findings"]] == ["ACME101", "ACME102"]
    assert done.json["rules_run"] == ["MC101", "ACME101"]
    said = [line for line in done.err.splitlines() if "gave no answer" in line]
    assert said == [
        f"note: {rule} gave no answer: {skipped[rule]}" for rule in ("ACME102", "ACME103")
    ]
    assert (
        run(*words).out.splitlines()[-1] == "1 error, 1 warning; 2 rules run, 1 skipped, 2 failed"
    )


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, IndexError, ValueError])
def test_a_fault_of_modelcli_is_no_silent_nothing_found(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def broken(_value: object) -> bool:
        raise error("of ours")

    broken.__code__ = broken.__code__.replace(co_filename=attributes.__file__)
    monkeypatch.setattr(attributes, "_is_trained", broken)
    done = run("check", "sequential-list", "--select", "MC101,MC105")
    text = "'of ours'" if error is KeyError else "of ours"
    reason = f"a fault of modelcli in this rule: {error.__name__}: {text}"
    assert done.code == 0
    assert done.out.splitlines()[-1] == "nothing found; 1 rule run, 1 failed"
    assert done.err == f"note: MC101 gave no answer: {reason}\n"
    body = json.loads(run("check", "sequential-list", "--select", "MC101", "--format", "json").out)
    assert body["rules_skipped"] == {"MC101": reason}


def test_what_torch_cannot_do_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def raised_here() -> None:
        torch.zeros(2) @ torch.zeros(3)

    with pytest.raises(RuntimeError) as caught:
        raised_here()
    assert fault_of(PlainContainer, caught.value) == ""


def test_no_rule_of_ours_is_at_fault_on_a_model_with_odd_attributes() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.weight = "a text"
            self.bias = None
            self.dropout = 3
            self.track_running_stats = "no"

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    report = check(Odd, "2x4", train_steps=2)
    assert report.faults == {}

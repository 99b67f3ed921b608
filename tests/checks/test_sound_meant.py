"""What is meant by an author who knows: masks, projections, teachers, fixed networks, caches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.made import Made, check
from torch import nn
from torch.nn import functional as F

from modelcli.checks.observe.foreign import ModelRaised, call_model
from modelcli.checks.observe.parameters import is_followed
from modelcli.checks.observe.probe import functions
from modelcli.checks.record import Options, Report
from modelcli.checks.runner import run_checks
from modelcli.loading.example import ExampleInputs
from modelcli.loading.grammar import make_request
from modelcli.loading.source import Source


def severities(report: Report, rule: str) -> list[str]:
    return [str(finding.severity) for finding in report.findings if finding.rule == rule]


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Any, hidden: Any) -> Any:
        scores = self.a(x).masked_fill(hidden, float("-inf"))
        return scores.softmax(-1)


def test_a_mask_that_hides_everything_is_our_doing() -> None:
    report = run_checks(
        Source(label="Net", construct=Masked),
        make_request(["2x4", "bool:2x4"], None, None),
        Options(),
    )
    assert severities(report, "MC501") == []
    assert report.rules_skipped["MC501"] == (
        "it is finite with the masks the other way round: ours were a guess"
    )


def _hashed(model: Any, x: Any) -> Any:
    buckets = (model.a(x) @ torch.randn(4, 3)).argmax(-1)
    return model.b(x) + F.one_hot(buckets, 4) * 0.0


def test_a_random_projection_is_a_warning_and_a_random_layer_an_error() -> None:
    built = check(lambda: Made(_hashed, a=nn.Linear(4, 4), b=nn.Linear(4, 4)), "2x4")
    assert severities(built, "MC205") == ["warning"]
    random = check(
        lambda: Made(lambda m, x: F.linear(m.a(x), torch.randn(3, 4)), a=nn.Linear(4, 4)), "2x4"
    )
    assert severities(random, "MC205") == ["error"]


def test_a_fixed_network_that_is_kept_out_is_a_warning() -> None:
    def build(frozen: bool) -> Callable[[], nn.Module]:
        return lambda: Made(
            lambda m, x: m.a(x) + m.kept[0](x), a=nn.Linear(4, 4),
            kept=[nn.Linear(4, 4).requires_grad_(not frozen)],
        )  # fmt: skip

    assert severities(check(build(True), "2x4"), "MC101") == ["warning"]
    assert severities(check(build(False), "2x4"), "MC101") == ["error"]


def _scaled(model: Any, x: Any, *, anew: bool) -> Any:
    if anew:
        model.w = model.p * 2
    return x @ model.w


@pytest.mark.parametrize(("anew", "found"), [(True, []), (False, ["error"])])
def test_a_weight_that_is_only_kept_to_be_seen_is_none(anew: bool, found: list[str]) -> None:
    def build() -> nn.Module:
        p = nn.Parameter(torch.ones(4, 4))
        return Made(lambda m, x: _scaled(m, x, anew=anew), p=p, w=p * 2)

    assert severities(check(build, "2x4"), "MC103") == found


def _distilled(model: Any, x: Any) -> Any:
    with torch.no_grad():
        aim = model.teacher(x)
    return model.student(x) - aim


def test_a_teacher_needs_no_gradient() -> None:
    report = check(
        lambda: Made(_distilled, teacher=nn.Linear(4, 4), student=nn.Linear(4, 4)), "2x4"
    )
    assert severities(report, "MC202") == []
    assert is_followed("target_encoder.weight")
    assert not is_followed("schema.weight")


@pytest.mark.parametrize("rule", ["MC402", "MC404"])
def test_a_fault_of_ours_in_a_watched_pass_is_said(
    monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    def broken(*_: object) -> None:
        raise IndexError("of ours")

    broken.__code__ = broken.__code__.replace(co_filename=functions.__file__)
    monkeypatch.setattr("modelcli.checks.observe.batch.run_quietly", broken)
    monkeypatch.setattr("modelcli.checks.observe.passes.run_quietly", broken)
    report = check(lambda: nn.Linear(4, 4), "2x4", select=(rule,))
    assert report.faults == {rule: "a fault of modelcli in this rule: IndexError: of ours"}
    assert report.findings == ()


@pytest.mark.parametrize("last", [nn.Tanh, nn.Sigmoid])
def test_a_bounded_output_is_only_held_against_a_loss_that_was_named(last: type[nn.Module]) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 6), last())

    guessed = check(build, "4x8", train_steps=200, select=("MC701",))
    assert (guessed.findings, guessed.rules_run) == ((), ("MC701",))
    named = check(build, "4x8", train_steps=200, select=("MC701",), loss="cross_entropy")
    assert severities(named, "MC701") == ["error"]
    few = check(build, "4x8", train_steps=5, select=("MC701",), loss="cross_entropy")
    assert few.rules_skipped["MC701"] == "5 steps say nothing: --train-steps 50"


def test_what_torch_logs_of_a_failed_attempt_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_model: Any, _x: Any) -> Any:
        logging.getLogger("torch.fake").error("Traceback of a compiler")
        raise RuntimeError("no such shape")

    with pytest.raises(ModelRaised, match="RuntimeError: no such shape"):
        call_model(Made(refuse), ExampleInputs(args=(torch.ones(2),)))
    assert caplog.records == []
    logging.getLogger("torch.fake").error("seen again")
    assert [record.message for record in caplog.records] == ["seen again"]

"""What a check leaves alone, and what it does where it cannot look."""

from __future__ import annotations

import random

import torch
from checks.made import Made, check
from torch import nn

from modelcli.checks.observe.attributes import find_hidden
from modelcli.checks.record import Options
from modelcli.checks.rules.numbers.depth import trend
from modelcli.checks.runner import run_checks
from modelcli.checks.settings import is_chosen
from modelcli.feature_maps.record import count_unseen
from modelcli.feature_maps.window import Window
from modelcli.loading.grammar import make_request
from modelcli.loading.source import Source


def test_an_instance_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [module.training for module in model.modules()]
    random.seed(3)
    torch.manual_seed(3)
    states = (random.getstate(), torch.get_rng_state())
    call = nn.Module.__call__
    report = run_checks(
        Source(label="net", instance=model), make_request(["4x4"], None, None), Options()
    )
    assert report.rules_skipped["MC104"] == (
        "an instance cannot be built a second time; name its class"
    )
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    assert nn.Module.__call__ is call
    assert all("forward" not in vars(module) for module in model.modules())
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])


def test_a_model_too_large_for_values_gets_the_other_rules() -> None:
    report = check(lambda: nn.Sequential(nn.Linear(20_000, 20_000), nn.ReLU()), "1x20000")
    assert report.execution == "meta"
    assert not report.values
    assert "too large to run with values" in report.rules_skipped["MC301"]
    assert {"MC101", "MC201", "MC402", "MC507", "MC601"} <= set(report.rules_run)


def test_rules_without_an_answer_say_why() -> None:
    report = check(lambda: Made(lambda m, x: m.fc(x), fc=nn.Linear(4, 3)), "2x5x4")
    assert "needs classes" in report.rules_skipped["MC503"]
    assert report.rules_skipped["MC701"] == "needs training; --train runs it"


def test_findings_are_sorted_the_worst_first() -> None:
    report = check(
        lambda: Made(
            lambda m, x: m.b(m.a(x).detach()),
            a=nn.Linear(4, 4),
            b=nn.Linear(4, 4).requires_grad_(False),
            c=nn.Linear(4, 4),
        ),
        "2x4",
    )
    ranks = [finding.severity.rank for finding in report.findings]
    assert ranks == sorted(ranks)
    assert {finding.rule for finding in report.findings} >= {"MC201", "MC204"}


def test_hidden_values_are_found_once_with_their_trail() -> None:
    layer = nn.Linear(2, 2)
    model = Made(lambda m, x: x, parts={"a": [layer, (layer,)]}, other=[layer])
    (hidden,) = find_hidden(model)
    assert hidden.name == "parts['a'][0]"
    assert hidden.value is layer


def test_longer_prefixes_win() -> None:
    assert is_chosen("MC101", (), ())
    assert is_chosen("MC101", ("MC1",), ())
    assert not is_chosen("MC201", ("MC1",), ())
    assert not is_chosen("MC101", ("MC1",), ("MC101",))
    assert is_chosen("MC101", ("MC101",), ("MC1",))
    assert not is_chosen("MC101", ("MC1",), ("MC1",))
    assert is_chosen("MC101", ("ALL",), ("MC2",))


def test_trend_gives_the_factor_from_first_to_last() -> None:
    ratio, steadiness = trend([2.0**n for n in range(11)])
    assert abs(ratio - 1024) < 1e-6
    assert abs(steadiness - 1) < 1e-9
    ratio, steadiness = trend([1.0, 1.0, 1.0])
    assert (ratio, steadiness) == (1.0, 0.0)


def test_lost_rows_agree_with_gradients() -> None:
    for size in range(5, 14):
        for kernel in (1, 2, 3, 5):
            for stride in (1, 2, 3, 4):
                for padding in range(kernel // 2 + 1):
                    x = torch.ones(1, 1, size, requires_grad=True)
                    weight = torch.ones(1, 1, kernel)
                    out = nn.functional.conv1d(x, weight, stride=stride, padding=padding)
                    (gradient,) = torch.autograd.grad(out.sum(), x)
                    unseen = int((gradient == 0).sum())
                    window = Window(kernel=kernel, stride=stride, before=padding, after=padding)
                    windows = window.count(size)
                    assert count_unseen(window.unseen(size, windows)) == unseen

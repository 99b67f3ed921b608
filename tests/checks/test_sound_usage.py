"""What looks unused, frozen by mistake or too small, and comes of the input or is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.made import Made
from torch import nn
from torch.nn.attention.flex_attention import flex_attention

from modelcli.checks.observe.adapters import has_adapters
from modelcli.checks.record import Options, Report
from modelcli.checks.runner import run_checks
from modelcli.loading.grammar import make_request
from modelcli.loading.source import Source


def check_model(model: Callable[[], nn.Module], *inputs: str) -> Report:
    source = Source(label="Net", construct=model)
    return run_checks(source, make_request(list(inputs), None, None), Options())


def paths(report: Report, rule: str) -> list[str]:
    return [finding.path for finding in report.findings if finding.rule == rule]


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.visual, self.embed = nn.Conv2d(3, 8, 4, 4), nn.ModuleList([nn.Embedding(50, 8)])
        self.forgotten = nn.Linear(2, 2)

    def forward(self, image: Any = None, text: Any = None) -> Any:
        out = {}
        if image is not None:
            out["image"] = self.visual(image).mean((2, 3))
        if text is not None:
            out["text"] = self.embed[0](text).mean(1)
        return out


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.forgotten = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda t: self.a(t), lambda t: self.b(t), (x,))


def test_layers_of_an_input_that_was_not_given_are_not_called_unused() -> None:
    assert paths(check_model(Towers, "image:2x3x8x8"), "MC201") == ["forgotten"]
    assert paths(check_model(Towers, "image:2x3x8x8", "text:int64:2x5"), "MC201") == ["forgotten"]


def test_a_branch_that_the_data_did_not_take_is_not_called_unused() -> None:
    assert paths(check_model(Branches, "2x6"), "MC201") == ["forgotten"]


class Front(nn.Module):
    """A recurrent layer behind a stride of 40: a short signal leaves it one step."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Conv1d(1, 6, 40, 40)
        self.rnn = nn.GRU(6, 5, batch_first=True)

    def forward(self, wave: Any) -> Any:
        return self.rnn(self.front(wave).transpose(1, 2))[0]


def test_what_follows_from_a_guessed_size_is_not_said() -> None:
    guessed = check_model(Front)
    assert [f.rule for f in guessed.findings if f.rule in ("MC203", "MC603", "MC604")] == []
    assert guessed.rules_skipped["MC604"] == (
        "the size of the input was guessed, and a larger one runs, too; --input gives it"
    )
    given = check_model(Front, "2x1x60")
    assert paths(given, "MC203") == ["rnn.weight_hh_l0"]
    assert paths(given, "MC603") == ["front"]


def test_a_size_that_the_model_demands_is_spoken_of() -> None:
    report = check_model(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 4, 2)
        )
    )
    assert "MC604" in report.rules_run


class LowRank(nn.Module):
    def __init__(self, rank: int) -> None:
        super().__init__()
        self.base = nn.Linear(8, 6).requires_grad_(False)
        self.down, self.up = nn.Linear(8, rank, bias=False), nn.Linear(rank, 6, bias=False)

    def forward(self, x: Any) -> Any:
        return self.base(x) + self.up(self.down(x))


@pytest.mark.parametrize(("rank", "frozen"), [(2, []), (7, ["0", "2.base"])])
def test_the_base_of_adapters_is_frozen_on_purpose(rank: int, frozen: list[str]) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 8).requires_grad_(False), nn.ReLU(), LowRank(rank))

    assert has_adapters(build()) == (rank == 2)
    assert paths(check_model(build, "2x8"), "MC204") == frozen


def test_adapters_are_known_by_name_too() -> None:
    model = Made(
        lambda m, x: m.base(x) * m.lora_scale, base=nn.Linear(4, 4).requires_grad_(False),
        lora_scale=nn.Parameter(torch.ones(4)),
    )  # fmt: skip
    assert has_adapters(model)
    assert not has_adapters(nn.Linear(4, 4))


def test_a_function_without_a_kernel_for_meta_is_no_collision_of_devices() -> None:
    def attend(model: Any, x: Any) -> Any:
        q, k, v = model.qkv(x).view(len(x), 32, 3, 2, 16).permute(2, 0, 3, 1, 4)
        return flex_attention(q, k, v)

    report = check_model(lambda: Made(attend, qkv=nn.Linear(32, 96)), "1x32x32")
    assert paths(report, "MC507") == []
    assert "FlexAttention is only supported" in report.rules_skipped["MC507"]

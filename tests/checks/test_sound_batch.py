"""What looks like a mixed, lost or refused batch, and is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.made import Made
from torch import nn
from torch.utils.checkpoint import checkpoint

from modelcli.checks.observe.probe.axes import mixed_axes
from modelcli.checks.record import Finding, Options, Report
from modelcli.checks.runner import run_checks
from modelcli.loading.grammar import make_request
from modelcli.loading.source import Source


class Two(nn.Module):
    """Two inputs, as the nodes and the edges of a graph."""

    def __init__(self, run: Callable[[Any, Any, Any], Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.__dict__["run"] = run

    def forward(self, x: Any, y: Any) -> Any:
        return self.run(self, x, y)


class Edges(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)

    def forward(self, edge_index: Any) -> Any:
        ends = self.embed(edge_index)
        return (ends[0] * ends[1]).sum(-1)


class Unnamed(Edges):
    def forward(self, ids: Any) -> Any:
        return super().forward(ids)


def check_all(build: Callable[[], nn.Module], *inputs: str) -> Report:
    source = Source(label="Net", construct=build)
    return run_checks(source, make_request(list(inputs), None, None), Options())


def of_rule(report: Report, *rules: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule in rules]


def _decode(model: Any, ids: Any) -> Any:
    for _ in range(3):
        chances = model.head(model.embed(ids))[:, -1].softmax(-1)
        ids = torch.cat([ids, torch.multinomial(chances, 1)], 1)
    return ids


def _heads_first(model: Any, x: Any) -> Any:
    return torch.stack([head(x) for head in model.heads])


def _three_heads() -> nn.Module:  # as many as there are samples
    return Made(_heads_first, heads=nn.ModuleList(nn.Linear(4, 5) for _ in range(3)))


SOUND: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "ids out": (
        lambda: Made(_decode, embed=nn.Embedding(20, 8), head=nn.Linear(8, 20)), ("int64:3x16",),
    ),
    "the batch is second": (_three_heads, ("3x4",)),
    "an edge list by name": (Edges, ("int64:2x7",)),
    "an edge list without a name": (Unnamed, ("int64:2x7",)),
    "a dense adjacency": (
        lambda: Two(lambda m, x, y: y @ m.a(x), a=nn.Linear(6, 3)), ("4x6", "4x4"),
    ),
    "an adjacency that is kept": (
        lambda: Made(lambda m, x: m.links @ m.a(x), a=nn.Linear(6, 3),
                     links=nn.Parameter(torch.ones(4, 4), requires_grad=False)), ("4x6",),
    ),
    "one image without a batch": (
        lambda: Made(lambda m, x: m.c(x).mean((1, 2)), c=nn.Conv2d(3, 4, 3)), ("3x9x9",),
    ),
    "one sequence without a batch": (
        lambda: Made(lambda m, x: m.r(x)[0], r=nn.GRU(4, 5)), ("6x4",),
    ),
    "points of one cloud": (
        lambda: Made(lambda m, x: m.a(x).amax(0), a=nn.Linear(3, 5)), ("16x3",),
    ),
    "frames of one clip": (
        lambda: Made(lambda m, x: m.a(x).view(-1, 4, 5).mean(1), a=nn.Linear(6, 5)), ("4x6",),
    ),
    "a list with an item a sample": (
        lambda: Made(lambda m, x: [m.a(row) for row in x], a=nn.Linear(4, 5)), ("2x4",),
    ),
    "rows that depend on the values": (
        lambda: Made(lambda m, x: m.a(x)[m.a(x) > 0], a=nn.Linear(4, 9)), ("2x4",),
    ),
    "samples compared with samples": (
        lambda: Made(lambda m, x: m.a(x) @ m.a(x).T, a=nn.Linear(4, 5)), ("2x4",),
    ),
    "re-entrant checkpointing": (
        lambda: Made(lambda m, x: m.b(checkpoint(m.a, x, use_reentrant=True)),
                     a=nn.Linear(4, 4), b=nn.Linear(4, 2)), ("2x4",),
    ),
    "an operation in place": (
        lambda: Made(lambda m, x: m.b(m.a(x).relu_().add_(1)), a=nn.Linear(4, 4),
                     b=nn.Linear(4, 2)), ("2x4",),
    ),
    "forces: a gradient inside forward": (
        lambda: Made(lambda m, x: _forces(m, x), a=nn.Linear(4, 1)), ("2x4",),
    ),
    "complex numbers out": (
        lambda: Made(lambda m, x: torch.fft.fft(m.a(x)), a=nn.Linear(4, 4)), ("2x4",),
    ),
    "the larger of two": (
        lambda: Made(lambda m, x: torch.max(m.a(x), m.b(x)), a=nn.Linear(4, 4),
                     b=nn.Linear(4, 4)), ("2x4",),
    ),
}  # fmt: skip


def _forces(model: Any, x: Any) -> Any:
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        energy = torch.tanh(model.a(x)).sum()
        return torch.autograd.grad(energy, x, create_graph=True)[0]


@pytest.mark.parametrize("name", SOUND)
def test_no_batch_is_said_to_be_mixed_lost_or_refused(name: str) -> None:
    build, inputs = SOUND[name]
    report = check_all(build, *inputs)
    assert of_rule(report, "MC401", "MC402") == []
    assert report.faults == {}


def test_samples_along_another_dimension_are_followed_there() -> None:
    build = _three_heads
    report = check_all(build, "3x4")
    assert {"MC401", "MC402"} <= set(report.rules_run)
    mixed = check_all(
        lambda: Made(lambda m, x: _heads_first(m, x - x.mean(0)), heads=build().heads), "3x4"
    )
    (finding,) = of_rule(mixed, "MC401", "MC402")
    assert finding.rule == "MC401"
    assert finding.message.startswith("in eval mode, output row 0 depends on sample 1 of 3")


def test_a_row_for_every_token_is_an_info() -> None:
    report = check_all(
        lambda: Made(lambda m, x: m.o(m.e(x)).view(-1, 9), e=nn.Embedding(9, 4), o=nn.Linear(4, 9)),
        "int64:2x5",
    )
    (finding,) = of_rule(report, "MC402")
    assert (str(finding.severity), finding.message) == (
        "info", "3 samples in, 15 rows out: one for each of 5 steps",
    )  # fmt: skip


def test_a_refusal_that_is_meant_is_a_warning() -> None:
    def pairs_only(model: Any, x: Any) -> Any:
        if len(x) % 2:
            raise ValueError("the batch holds two views of each image")
        return model.a(x)

    report = check_all(lambda: Made(pairs_only, a=nn.Linear(4, 4)), "2x4")
    (finding,) = of_rule(report, "MC402")
    assert str(finding.severity) == "warning"
    assert finding.message == (
        "a batch of 1 is refused (the batch holds two views of each image); 2 worked"
    )


def test_layers_that_reentrant_checkpointing_cuts_off_are_named() -> None:
    report = check_all(*SOUND["re-entrant checkpointing"][:1], "2x4")
    (finding,) = of_rule(report, "MC202")
    assert (finding.path, str(finding.severity)) == ("a", "error")
    assert finding.message == (
        "no gradient reaches 20 parameters that the forward uses: re-entrant checkpoint() of an "
        "input that needs no gradient cuts it off in 'a'"
    )
    assert finding.fix == "checkpoint(..., use_reentrant=False)."


def test_reentrant_checkpointing_behind_a_layer_is_sound() -> None:
    report = check_all(
        lambda: Made(lambda m, x: checkpoint(m.b, m.a(x), use_reentrant=True),
                     a=nn.Linear(4, 4), b=nn.Linear(4, 2)), "2x4",
    )  # fmt: skip
    assert report.findings == () or {f.rule for f in report.findings} == {"MC601"}


def test_a_failed_backward_names_the_operation_in_place() -> None:
    report = check_all(SOUND["an operation in place"][0], "2x4")
    (finding,) = of_rule(report, "MC206")
    assert finding.message.startswith("backward() raises: add_ works in place on values")
    assert "MC301" in report.rules_run


def test_a_state_that_is_kept_with_its_graph_is_an_error() -> None:
    def keep(model: Any, x: Any) -> Any:
        y, model.h = model.l(x, model.h)
        return y

    report = check_all(lambda: Made(keep, l=nn.LSTM(4, 4, batch_first=True), h=None), "2x5x4")
    (finding,) = of_rule(report, "MC301", "MC304", "MC402")
    assert (finding.rule, finding.path, str(finding.severity)) == ("MC304", "h", "error")
    assert finding.message.endswith("and its graph with them: the second backward() raises")


def test_a_state_that_is_detached_when_it_is_read_stops_no_backward() -> None:
    def keep(model: Any, x: Any) -> Any:
        model.h = model.l(x, None if model.h is None else model.h.detach())
        return model.h

    report = check_all(lambda: Made(keep, l=nn.GRUCell(4, 4), h=None), "2x4")
    (finding,) = of_rule(report, "MC301", "MC304", "MC402")
    assert (finding.rule, finding.path, str(finding.severity)) == ("MC304", "h", "warning")
    assert finding.message.endswith("carries values from one eval pass into the next")


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "axes"),
    [
        ("roll", (0, 3, 1), {}, (1,)),
        ("roll", (0, 1), {"dims": (0, 2)}, (0, 2)),
        ("roll", (0, 1), {}, None),
        ("norm", (0, 2), {}, None),
        ("norm", (0, 2, -1), {}, (-1,)),
        ("normalize", (0,), {}, (1,)),
        ("mean", (0, 0), {}, (0,)),
        ("mean", (0,), {}, None),
        ("sum", (0,), {"axis": 2}, (2,)),
        ("cat", ((0, 0),), {}, (0,)),
        ("cat", ((0, 0), 1), {}, (1,)),
        ("max", (0, torch.zeros(2)), {}, ()),
        ("sort", (0,), {}, (-1,)),
        ("flip", (0, (0,)), {}, (0,)),
    ],
)
def test_axes_are_read_where_each_function_has_them(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], axes: tuple[int, ...] | None
) -> None:
    assert mixed_axes(name, args, kwargs) == axes

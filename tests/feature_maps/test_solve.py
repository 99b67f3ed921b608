"""The solver: its solutions hold in torch, the simplest comes first, and no is explained."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F

from modelcli.feature_maps.solve import Solution, SolveRequest, combine, reachable, solve, why_not


def by_torch(kind: str, s: Solution, size: int) -> int:
    x = torch.empty((1, 1, size), device="meta")
    weight = torch.empty((1, 1, s.kernel), device="meta")
    if kind == "conv":
        return F.conv1d(x, weight, None, s.stride, s.padding, s.dilation).shape[-1]
    if kind == "convtranspose":
        return F.conv_transpose1d(
            x, weight, None, s.stride, s.padding, s.output_padding, 1, s.dilation
        ).shape[-1]
    if kind == "maxpool":
        return F.max_pool1d(x, s.kernel, s.stride, s.padding, s.dilation).shape[-1]
    return F.avg_pool1d(x, s.kernel, s.stride, s.padding).shape[-1]


@pytest.mark.parametrize("kind", ["conv", "convtranspose", "maxpool", "avgpool"])
def test_every_solution_holds(kind: str) -> None:
    r = random.Random(kind)
    solved = 0
    for _ in range(60):
        size = r.randint(4, 64)
        goal = r.randint(1, 64) if kind != "convtranspose" else size * r.randint(1, 3)
        kernel = r.choice([None, 2, 3, 5])
        found = solve(SolveRequest(kind=kind, size_in=size, size_out=goal, kernel=kernel))
        for solution in found[:40]:
            assert by_torch(kind, solution, size) == goal, (size, goal, solution)
            solved += 1
        assert [s.effort for s in found] == sorted(s.effort for s in found)
    assert solved > 60


def numbers(solution: Solution) -> tuple[int, ...]:
    return solution.kernel, solution.stride, solution.padding, solution.dilation


@pytest.mark.parametrize(
    ("task", "first"),
    [
        (SolveRequest(kind="conv", size_in=224, size_out=112, kernel=7), (7, 2, 3, 1)),
        (SolveRequest(kind="conv", size_in=224, size_out=224, kernel=3), (3, 1, 1, 1)),
        (SolveRequest(kind="conv", size_in=224, size_out=224, kernel=3, dilation=2), (3, 1, 2, 2)),
        (SolveRequest(kind="conv", size_in=224, size_out=56, kernel=4), (4, 4, 0, 1)),
        (SolveRequest(kind="convtranspose", size_in=14, size_out=28), (2, 2, 0, 1)),
        (SolveRequest(kind="convtranspose", size_in=14, size_out=28, kernel=4), (4, 2, 1, 1)),
        (SolveRequest(kind="convtranspose", size_in=14, size_out=14, kernel=3), (3, 1, 1, 1)),
        (SolveRequest(kind="maxpool", size_in=112, size_out=56), (2, 2, 0, 1)),
        (SolveRequest(kind="maxpool", size_in=112, size_out=56, kernel=3), (3, 2, 1, 1)),
    ],
)
def test_the_simplest_first(task: SolveRequest, first: tuple[int, ...]) -> None:
    assert numbers(solve(task)[0]) == first


NO = [
    (SolveRequest(kind="conv", size_in=224, size_out=300, kernel=7),
     "the largest output of 224 is 230 with kernel 7", "use convT or upsample"),
    (SolveRequest(kind="conv", size_in=224, size_out=100, kernel=3, stride=2, dilation=1),
     "the smallest output of 224 is 111 with kernel 3, stride 2, dilation 1", "a larger stride"),
    (SolveRequest(kind="conv", size_in=10, size_out=4, kernel=1, stride=2),
     "the smallest output of 10 is 5 with kernel 1, stride 2", "a larger stride"),
    (SolveRequest(kind="conv", size_in=4, size_out=2, kernel=7, padding=0),
     "no output at all comes of 4 with kernel 7, padding 0", "let one of the numbers go"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "reason", "hint"), NO)
def test_no_solution_names_what_is_in_the_way(task: SolveRequest, reason: str, hint: str) -> None:
    assert solve(task) == ()
    said, advice = why_not(task)
    assert said == reason
    assert hint in advice


def test_a_gap_between_reachable_sizes() -> None:
    task = SolveRequest(
        kind="convtranspose", size_in=8, size_out=20, kernel=2, padding=0, dilation=1
    )
    sizes = reachable(task)
    assert task.size_out not in sizes
    below, above = max(s for s in sizes if s < 20), min(s for s in sizes if s > 20)
    assert why_not(task)[0].startswith(f"8 gives {below} or {above}, and nothing between")


def test_axes_that_agree_come_first() -> None:
    tall = solve(SolveRequest(kind="conv", size_in=224, size_out=112, kernel=3))
    wide = solve(SolveRequest(kind="conv", size_in=112, size_out=56, kernel=3))
    first = combine([tall, wide])[0]
    assert [numbers(s) for s in first] == [(3, 2, 1, 1)] * 2

"""Rounds of torch's Timer, with one that is made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from modelcli.timing import latency
from modelcli.timing.latency import ROUNDS, Stopwatch, warm_up


@dataclass
class Measured:
    times: list[float]
    number_per_run: int

    @property
    def median(self) -> float:
        return sorted(self.times)[len(self.times) // 2]


class FakeTimer:
    """Takes 2 s a pass alone, and what ``block`` says in a block."""

    block = Measured([1.0], 100)

    def __init__(self, statement: str, *, globals: dict[str, Any], num_threads: int) -> None:
        assert num_threads >= 1

    def blocked_autorange(self, min_run_time: float) -> Measured:
        return self.block

    def timeit(self, number: int) -> Measured:
        assert number == 1
        return Measured([2.0], 1)


@pytest.fixture(autouse=True)
def timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "Timer", FakeTimer)


def test_the_mean_of_a_block_and_a_single_pass_do_not_mix() -> None:
    watch = Stopwatch(lambda: None)
    for _ in range(ROUNDS):
        watch.take_round()
    found = watch.latency()
    assert found.median_s == 1.0
    assert found.runs == 100 * ROUNDS
    assert (found.p10_s, found.p90_s) == (2.0, 2.0)


def test_so_many_passes_as_asked_for_are_timed() -> None:
    for runs in (1, 2, 3, 7):
        watch = Stopwatch(lambda: None, runs=runs)
        for _ in range(ROUNDS):
            watch.take_round()
        assert (watch.latency().runs, watch.latency().singles) == (runs, runs)


def test_a_warm_up_of_so_many_passes_runs_them() -> None:
    ran: list[int] = []
    assert warm_up(lambda: ran.append(1), passes=7).passes == 7
    assert len(ran) == 7

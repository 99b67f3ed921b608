"""Medians, percentiles, warm-up and signs of a busy machine, on numbers made up."""

from __future__ import annotations

import statistics

import pytest

from modelcli.machine.record import Ceilings
from modelcli.machine.waiting import Waiting
from modelcli.timing.bound import find_floors
from modelcli.timing.busy import busy_signs
from modelcli.timing.statistics import (
    describe_times,
    judge_warm_up,
    middle_half,
    percentile,
)


def test_percentiles_are_numpys() -> None:
    import numpy as np

    values = [5.0, 1.0, 4.0, 2.0, 9.0, 7.5]
    for share in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0):
        assert percentile(values, share) == pytest.approx(np.quantile(values, share))


def test_a_latency_says_how_sure_it_is() -> None:
    found = describe_times([[1.0, 1.1, 1.2], [1.0, 1.1, 2.2]], [1.0, 2.0, 3.0], runs=60)
    assert found.median_s == pytest.approx(1.1)
    assert (found.runs, found.singles) == (60, 3)
    assert found.p10_s == pytest.approx(1.2)
    assert found.p90_s == pytest.approx(2.8)
    width = percentile([1.0, 1.1, 1.2, 1.0, 1.1, 2.2], 0.75) - 1.025
    assert found.spread == pytest.approx(width / 1.1)
    assert found.error == pytest.approx(0.93 * width / 6**0.5 / 1.1)


def test_drift_is_between_rounds() -> None:
    steady = describe_times([[1.0, 3.0], [1.0, 3.0]], [1.0], runs=4)
    moved = describe_times([[1.0, 1.0, 1.0], [1.5, 1.5]], [1.0], runs=5)
    assert steady.drift == 0
    assert moved.drift == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("times", "settled"),
    [
        ([9.0, *[1.0] * 9], True),
        ([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 1.0], False),
        ([9.0, 1.0, 1.0], False),
        ([1.0] * 5 + [1.03] * 5, True),
        ([1.0] * 5 + [1.04] * 5, False),
        ([2.0] * 50 + [1.0] * 50, True),  # windows of a quarter, both behind the change
        ([2.0] * 70 + [1.0] * 30, False),
    ],
)
def test_a_warm_up_ends_where_medians_agree(times: list[float], settled: bool) -> None:
    found = judge_warm_up(times)
    assert found.settled is settled
    assert found.passes == len(times)
    assert found.first_s == times[0]


def test_a_warm_up_that_was_too_short_claims_nothing() -> None:
    assert judge_warm_up([1.0] * 9).difference is None
    assert judge_warm_up([1.0] * 10).difference == 0


def test_the_middle_half_leaves_both_ends_out() -> None:
    assert middle_half([8, 1, 5, 3, 7, 2, 6, 4], key=float) == [3, 4, 5, 6]
    assert middle_half([3, 1, 2], key=float) == [1, 2, 3]


def _latency(median: float = 0.01, drift: float = 0.0):
    rounds = [[median] * 3, [median * (1 + drift)] * 2]
    return describe_times(rounds, [median], runs=5)


def test_a_starved_run_is_told_though_it_is_steady() -> None:
    steady = _latency()
    assert steady.spread == 0
    waiting = Waiting(wall_s=1.0, cpu_s=0.5, waited_s=0.5)
    assert busy_signs(steady, waiting, threads=1, ceiling_drift=0.0) == ("waited",)


def test_a_quiet_machine_has_no_signs() -> None:
    waiting = Waiting(wall_s=1.0, cpu_s=0.99, waited_s=0.01)
    assert busy_signs(_latency(drift=0.04), waiting, threads=1, ceiling_drift=-0.09) == ()


def test_where_waiting_is_not_told_the_processor_time_is_looked_at() -> None:
    waiting = Waiting(wall_s=1.0, cpu_s=0.7, waited_s=None)
    assert busy_signs(_latency(), waiting, threads=1, ceiling_drift=0.0) == ("less cpu",)
    short = _latency(median=1e-4)
    assert busy_signs(short, waiting, threads=1, ceiling_drift=0.0) == ()


def test_rounds_that_drift_are_a_sign() -> None:
    waiting = Waiting(wall_s=1.0, cpu_s=1.0, waited_s=0.0)
    found = busy_signs(_latency(drift=0.2), waiting, threads=1, ceiling_drift=0.3)
    assert found == ("drift", "product")


CEILINGS = Ceilings(
    product_flops_per_s=1e9,
    product_size=512,
    product_dtype="float32",
    copy_bytes_per_s=1e6,
    cache_bytes_per_s=1e8,
    cache_bytes=1000,
    layer_s=1e-5,
    function_s=1e-6,
)


@pytest.mark.parametrize(
    ("time_s", "flops", "moved", "calls", "bound"),
    [
        (1.0, 6 * 10**8, 2 * 10**5, 1, "compute"),
        (1.0, 3 * 10**8, 7 * 10**5, 1, "memory"),
        (1e-5, 10, 100, 9, "dispatch"),
        (1.0, 4 * 10**8, 4 * 10**5, 400_000, None),  # nothing comes near half of the time
        (1.0, None, None, 600_000, "dispatch"),
        (0.0, 1, 1, 1, None),
        (1e-5, 1, 1000, 1, "memory"),  # 1000 bytes at the speed of the cache: all of 10 us
        (2e-3, 1, 1001, 1, "memory"),  # one byte more no longer fits
        (2e-5, 1, 2000, 2, "memory"),  # each call by itself fits
    ],
)
def test_the_highest_floor_names_the_bound(time_s, flops, moved, calls, bound) -> None:
    found = find_floors(flops=flops, moved_bytes=moved, calls=calls, call_s=1e-6, ceilings=CEILINGS)
    assert found.bound(time_s) == bound


def test_medians_of_rows_would_not_add_up() -> None:
    """Why rows are averaged over the same passes: a median by row loses what lies between."""
    passes = [(1.0, 9.0), (9.0, 1.0), (2.0, 2.0)]
    rows = [statistics.median(column) for column in zip(*passes, strict=True)]
    assert sum(rows) != statistics.median(map(sum, passes))

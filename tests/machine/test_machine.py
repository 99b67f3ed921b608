"""What the machine reaches, and how its waiting threads are read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modelcli.machine.caches import last_cache_bytes
from modelcli.machine.ceilings import copied_bytes, measure_ceilings
from modelcli.machine.waiting import Waiting, WaitWatch


def _thread(tasks: Path, number: int, waited_ns: int) -> None:
    (tasks / str(number)).mkdir(exist_ok=True)
    (tasks / str(number) / "schedstat").write_text(f"900 {waited_ns} 7\n")


def test_waiting_of_all_threads_is_added_up(tmp_path: Path) -> None:
    _thread(tmp_path, 1, 1_000_000_000)
    _thread(tmp_path, 2, 5_000_000_000)
    watch = WaitWatch(tmp_path)
    with watch:
        _thread(tmp_path, 1, 1_500_000_000)
        _thread(tmp_path, 3, 250_000_000)  # it began meanwhile
    assert watch.total.waited_s == pytest.approx(0.75)
    with watch:
        _thread(tmp_path, 2, 6_000_000_000)
    assert watch.total.waited_s == pytest.approx(1.75)
    assert watch.total.wall_s > 0


def test_without_statistics_nothing_is_claimed(tmp_path: Path) -> None:
    watch = WaitWatch(tmp_path / "none")
    with watch:
        pass
    assert watch.total.waited_s is None
    assert watch.total.share is None


def test_the_share_is_of_the_time_that_passed() -> None:
    waiting = Waiting(wall_s=2.0, cpu_s=1.0, waited_s=0.5) + Waiting(wall_s=2.0, waited_s=0.5)
    assert waiting.share == pytest.approx(0.25)


def test_the_last_cache_is_the_largest(tmp_path: Path) -> None:
    assert last_cache_bytes(tmp_path) is None
    for index, size in enumerate(("32K", "512K", "32768K", "odd")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
    assert last_cache_bytes(tmp_path) == 32 * 2**20


@pytest.mark.parametrize(
    ("device", "cache", "copied"),
    [
        ("cpu", None, 128 * 10**6),
        ("cpu", 32 * 2**20, 128 * 10**6),
        ("cpu", 96 * 2**20, 192 * 2**20),
        ("cpu", 480 * 2**20, 512 * 10**6),  # as a guest on a large machine sees it
        ("cuda", None, 512 * 10**6),
    ],
)
def test_what_is_copied_is_larger_than_the_cache_and_not_more_than_it_needs(
    device: str, cache: int | None, copied: int
) -> None:
    assert copied_bytes(device, cache) == copied


def test_ceilings_are_measured_and_leave_the_random_state() -> None:
    state = torch.random.get_rng_state()
    found = measure_ceilings(torch.device("cpu"), torch.float32, seconds=0.002)
    assert torch.equal(state, torch.random.get_rng_state())
    assert found.product_size in (256, 512, 1024)
    assert found.product_flops_per_s > 1e8
    assert found.copy_bytes_per_s > 1e7
    assert 0 < found.function_s < 1
    assert 0 < found.layer_s < 1
    assert found.tf32 is None

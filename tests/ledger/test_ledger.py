"""What follows from a ledger: peaks, the allocator, other batches, sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import modelcli
from modelcli.errors import UsageError
from modelcli.ledger.allocator import CachingAllocator, OutOfMemory, needed_bytes, replay
from modelcli.ledger.batch import find_law, largest_fitting
from modelcli.ledger.peak import by_kind, find_peak, peak_bytes
from modelcli.ledger.sizes import parse_memory
from modelcli.ledger.timeline import timeline
from modelcli.tracing.memory_record import NEVER, Block, Ledger, Phase

MIB = 1024**2


def ledger(*blocks, phases=((0, 1, "forward"),), end=100):
    return Ledger(
        blocks=tuple(
            Block(nbytes, birth, death, kind, "", "op", "forward")
            for nbytes, birth, death, kind in blocks
        ),
        phases=tuple(Phase(*phase) for phase in phases),
        end=end,
    )


def test_the_peak_is_where_most_is_alive_at_once():
    found = find_peak(
        ledger((10, 0, NEVER, "parameter"), (5, 1, 3, "saved"), (7, 2, 5, "temporary"))
    )
    assert (found.nbytes, found.event) == (22, 2)
    assert found.held["saved"] == 5
    assert by_kind([])["state"] == 0


def test_the_peak_of_a_step_counts_what_it_begins_with():
    two = ledger(
        (10, 1, 6, "temporary"), (4, 8, 9, "temporary"),
        phases=((0, 1, "forward"), (5, 2, "forward")), end=10,
    )  # fmt: skip
    assert peak_bytes(two, 1)[0] == 10
    assert peak_bytes(two, 2) == (10, 5)  # what is left of the first step
    assert peak_bytes(two, None, 512)[0] == 512


def test_every_phase_keeps_its_highest_moment():
    found = timeline(
        ledger(
            *((1, n, n + 1, "temporary") for n in range(1, 90)), (50, 40, 41, "saved"),
            phases=((0, 1, "forward"), (60, 1, "backward")),
        ),
        1, most=4,
    )  # fmt: skip
    assert max(moment.live_bytes for moment in found) == 52  # its last, the next and the big one
    assert {moment.phase for moment in found} == {"forward", "backward"}
    assert len(found) <= 4 + 2 + 2


# The expected numbers are those of c10/cuda/CUDACachingAllocator.cpp.
@pytest.mark.parametrize(
    ("sizes", "reserved"),
    [
        ([1], 2 * MIB),  # a small segment
        ([512] * 4096, 2 * MIB),  # which is then full
        ([512] * 4097, 4 * MIB),
        ([MIB + 1], 20 * MIB),  # a medium one
        ([MIB + 1] * 19, 20 * MIB),
        ([9 * MIB, 9 * MIB], 20 * MIB),
        ([10 * MIB], 10 * MIB),  # a large one, rounded to 2 MiB
        ([11 * MIB], 12 * MIB),
        ([11 * MIB, MIB // 2], 14 * MIB),  # the rest of 1 MiB is not split
    ],
)
def test_segments_are_reserved_as_cuda_does(sizes, reserved):
    allocator = CachingAllocator()
    for size in sizes:
        allocator.allocate(size)
    assert allocator.reserved_bytes == reserved


def test_free_neighbours_become_one_block():
    allocator = CachingAllocator()
    parts = [allocator.allocate(5 * MIB) for _ in range(4)]
    for part in parts[:3]:
        allocator.free(part)
    allocator.allocate(15 * MIB)
    assert allocator.reserved_bytes == 20 * MIB
    assert allocator.allocated_bytes == allocator.peak_allocated_bytes == 20 * MIB


def test_free_segments_are_given_back_before_memory_runs_out():
    one_after_the_other = ledger((30 * MIB, 1, 2, "temporary"), (40 * MIB, 3, 4, "temporary"))
    assert replay(one_after_the_other).reserved_bytes == 70 * MIB
    assert needed_bytes(one_after_the_other, 70 * MIB) == 70 * MIB
    assert needed_bytes(one_after_the_other, 50 * MIB) == 40 * MIB
    assert needed_bytes(one_after_the_other, 39 * MIB) is None
    with pytest.raises(OutOfMemory):
        CachingAllocator(MIB).allocate(1)


@pytest.mark.parametrize("batch", [5, 17, 32])
@pytest.mark.parametrize("name", ["lenet", "mlp", "autoencoder", "repeat"])
def test_two_passes_tell_the_peak_of_any_other_batch(name, batch):
    from modelcli.loading.find import find_source
    from modelcli.loading.target import parse_target
    from modelcli.loading.types import InputRequest
    from modelcli.planning.batches import Passes
    from modelcli.planning.memory import open_passes
    from modelcli.planning.options import MemoryOptions

    with open_passes(
        find_source(parse_target(name)), InputRequest(), MemoryOptions(mode="train")
    ) as passes:
        assert isinstance(passes, Passes)
        law = passes.law()
        direct = passes.main(batch).ledger
    for step in (1, 2):
        for rounding in (1, 512):
            assert law.peak(batch, step, rounding) == peak_bytes(direct, step, rounding)[0]
    assert replay(law.at(batch)).reserved_bytes == replay(direct).reserved_bytes


def test_the_largest_batch_fits_and_one_more_does_not():
    budget = 300_000_000
    options = {"device_memory": budget, "overhead": 0, "mode": "train"}
    largest = modelcli.memory("lenet", batch_size="max", **options).largest_batch
    assert largest > 1000
    direct = [modelcli.memory("lenet", batch_size=largest + more, **options) for more in (0, 1)]
    assert [found.fit.verdict == "fits" for found in direct] == [True, False]


class Similarities(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        x = self.linear(x)
        return x @ x.T


def test_there_is_no_law_where_a_block_grows_with_the_square_of_the_batch():
    found = modelcli.memory(
        Similarities(), torch.zeros(2, 4), loss="mse", device_memory="10MB", overhead=0
    )
    assert found.record.batch.law == "none"
    assert "does not grow in proportion" in found.record.batch.reason
    fits = found.largest_batch
    direct = [
        modelcli.memory(
            Similarities(), torch.zeros(n, 4), loss="mse", device_memory="10MB", overhead=0
        ).fit.verdict == "fits"
        for n in (fits, fits + 1)
    ]  # fmt: skip
    assert direct == [True, False]


def test_a_law_needs_blocks_that_match():
    one = ledger((1, 1, 2, "temporary"))
    two = ledger((1, 1, 2, "temporary"), (1, 3, 4, "temporary"))
    assert find_law(one, two, one) == "1 blocks at batch 2, 2 at batch 3"
    assert find_law(one, ledger((1, 1, 3, "temporary")), one).startswith("'op' goes another way")


def test_the_largest_fitting_number_is_found_by_halves():
    asked = []

    def fits(batch):
        asked.append(batch)
        return batch <= 1000

    assert largest_fitting(fits) == 1000
    assert len(asked) < 25
    assert largest_fitting(lambda batch: False) == 0


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("24GB", 24_000_000_000),
        ("24 GiB", 24 * 1024**3),
        ("512mib", 512 * 1024**2),
        ("1.5g", 1_500_000_000),
        ("1000", 1000),
        ("rtx-4090", 24 * 1024**3),
        ("NVIDIA GeForce RTX 4090", 24 * 1024**3),
        ("A100", 40 * 1024**3),
        ("a100-80gb", 80 * 1024**3),
    ],
)
def test_sizes_and_cards(text, nbytes):
    assert parse_memory(text) == nbytes


@pytest.mark.parametrize("text", ["24 G B", "", "-1GB", "0", "1e9", "GB", "24XB", "nonsense"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError):
        parse_memory(text)

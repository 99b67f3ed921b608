"""Shards are those of torch.chunk; traffic is what the collectives of one step move."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest
import torch

from modelcli.config.sections import TrainConfig
from modelcli.ledger.sharded import (
    Layout,
    Parallel,
    Unit,
    Weight,
    gathered_bytes,
    local_numel,
    padded_bytes,
    rank_bytes,
    rows_per_shard,
    traffic,
)
from modelcli.training.distributed.world import World


def weight(*shape: int, **more: object) -> Weight:
    return Weight(name="w", shape=shape, itemsize=4, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [1, 3, 5, 7, 8, 120])
@pytest.mark.parametrize("shards", [1, 2, 4, 7])
def test_a_rank_holds_the_rows_that_chunk_gives_it(rows: int, shards: int) -> None:
    whole = torch.zeros(rows, 3)
    parts = list(torch.chunk(whole, shards))
    layout = Layout(parallel="fsdp", world=shards)
    for rank in range(shards):
        expected = parts[rank].numel() if rank < len(parts) else 0
        assert local_numel(weight(rows, 3), layout, rank) == expected
    assert rows_per_shard(rows, shards) == parts[0].shape[0]


def test_state_is_cut_as_the_weight_and_counters_are_not() -> None:
    adam = weight(5, 2, state_itemsizes=(4, 4), state_bytes=4)
    layout = Layout(parallel="fsdp", world=4)
    held = [rank_bytes([Unit(path="", weights=(adam,))], layout, rank) for rank in range(4)]
    assert [each.param_bytes for each in held] == [16, 16, 8, 0]
    assert [each.state_bytes for each in held] == [36, 36, 20, 4]  # the last holds a counter only


def test_frozen_weights_have_no_gradient_and_no_state() -> None:
    frozen = weight(4, 4, trainable=False, state_itemsizes=(4, 4), state_bytes=4)
    held = rank_bytes([Unit(path="", weights=(frozen,))], Layout(parallel="ddp", world=2), 1)
    assert (held.param_bytes, held.grad_bytes, held.state_bytes) == (64, 0, 0)


def test_hsdp_cuts_within_a_copy_and_sums_over_the_copies() -> None:
    unit = Unit(path="", weights=(weight(5, 4),))
    layout = Layout(parallel="hsdp", world=4, replicas=2)
    held = [rank_bytes([unit], layout, rank).param_bytes for rank in range(4)]
    assert held == [48, 32, 48, 32]
    moved = {each.name: (each.nbytes, each.sent_bytes) for each in traffic([unit], layout)}
    # the root is gathered once; 3 of 5 rows is the part that all are padded to
    assert moved == {
        "all-gather": (48, 48), "reduce-scatter": (48, 48), "all-reduce": (48, 48)
    }  # fmt: skip


def test_blocks_are_gathered_twice_and_the_root_once() -> None:
    units = [
        Unit(path="a", weights=(weight(8, 2), weight(8))),
        Unit(path="b", weights=(weight(8, 2),)),
        Unit(path="", weights=(weight(4, 4),)),
    ]
    layout = Layout(parallel="fsdp", world=4)
    parts = [padded_bytes(unit, layout) for unit in units]
    assert parts == [24, 16, 16]
    gather, scatter = traffic(units, layout)
    assert (gather.calls, gather.nbytes, gather.sent_bytes) == (5, 2 * 40 + 16, 3 * 96)
    assert (scatter.calls, scatter.nbytes) == (3, 56)
    kept = traffic(units, Layout(parallel="fsdp", world=4, reshard=False))
    assert (kept[0].calls, kept[0].nbytes) == (3, 56)
    summed = traffic(units, Layout(parallel="fsdp", world=4, accumulate=3))
    assert (summed[0].nbytes, summed[1].nbytes) == (3 * 96, 56)


def test_what_is_whole_at_a_time() -> None:
    units = [Unit(path=name, weights=(weight(10 * n),)) for n, name in enumerate("abc", 1)]
    units.append(Unit(path="", weights=(weight(5),)))
    # the two largest blocks, the root, and the gradient of the largest
    assert gathered_bytes(units, Layout(parallel="fsdp", world=2)) == 4 * (30 + 20 + 5 + 30)
    assert gathered_bytes(units, Layout(parallel="fsdp", world=2, reshard=False)) == 4 * (65 + 30)
    assert gathered_bytes(units, Layout(parallel="fsdp", world=2, accumulate=2)) == 4 * (55 + 65)
    assert gathered_bytes(units, Layout(parallel="ddp", world=2)) == 0


def test_ddp_sums_whole_gradients_once_for_a_step() -> None:
    units = [Unit(path="", weights=(weight(10), weight(6, trainable=False)))]
    (summed,) = traffic(units, Layout(parallel="ddp", world=4, accumulate=5))
    assert (summed.name, summed.calls, summed.nbytes, summed.sent_bytes) == (
        "all-reduce",
        1,
        40,
        60,
    )


@pytest.mark.parametrize(("batch", "world"), [(62, 4), (64, 4), (7, 7), (100, 3)])
def test_the_parts_of_a_batch_add_up_and_differ_by_one_at_most(batch: int, world: int) -> None:
    shares = (World(rank=rank, size=world).part(batch) for rank in range(world))
    parts = [stop - first for first, stop in shares]
    assert sum(parts) == batch
    assert max(parts) - min(parts) <= 1


def test_a_plan_knows_the_strategies_of_train() -> None:
    parallel = next(f for f in fields(TrainConfig) if f.name == "parallel")
    assert get_args(Parallel) == parallel.metadata["choices"]

"""What each rank of a sharded run holds, and what it sends: arithmetic over shapes.

The rules are those of PyTorch's ``fully_shard`` (FSDP2) and ``DistributedDataParallel``; a plan is
compared with real ranks byte for byte in ``benchmarks/plan.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

Parallel = Literal["ddp", "fsdp", "hsdp"]
CollectiveName = Literal["all-gather", "reduce-scatter", "all-reduce", "broadcast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A parameter, with what its optimiser keeps for it.

    Attributes:
        name: its path.
        itemsize: bytes of an element.
        trainable: whether it has a gradient and an optimiser state.
        state_itemsizes: bytes of an element of each state tensor that has the parameter's shape;
            such a tensor is cut as the parameter is.
        state_bytes: all other state, as the count of steps, which every rank holds whole.
    """

    name: str
    shape: tuple[int, ...]
    itemsize: int
    trainable: bool = True
    state_itemsizes: tuple[int, ...] = ()
    state_bytes: int = 0

    @property
    def numel(self) -> int:
        """Elements of the whole parameter."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole parameter."""
        return self.numel * self.itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Parameters that are gathered and freed together.

    Attributes:
        path: the block, or "" for the model itself with all that no block owns.
        is_root: whether it is the model itself, whose weights stay after the forward pass.
    """

    path: str
    weights: tuple[Weight, ...]

    @property
    def is_root(self) -> bool:
        """Whether it is the model itself."""
        return not self.path

    @property
    def nbytes(self) -> int:
        """Bytes of the whole unit."""
        return sum(weight.nbytes for weight in self.weights)

    @property
    def gradient_bytes(self) -> int:
        """Bytes of the whole unit's gradients."""
        return sum(weight.nbytes for weight in self.weights if weight.trainable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a model lies on the ranks.

    Attributes:
        world: number of ranks.
        replicas: copies of the model; ``world`` of them under ``ddp``.
        reshard: whether a block's weights are freed after the forward pass and gathered again.
        accumulate: forward and backward passes for one step.
    """

    parallel: Parallel
    world: int
    replicas: int = 1
    reshard: bool = True
    accumulate: int = 1

    @property
    def shards(self) -> int:
        """Ranks that a copy of the model is cut among."""
        if self.parallel == "ddp":
            return 1
        return self.world // self.replicas

    def shard_of(self, rank: int) -> int:
        """Return which part of the model a rank holds."""
        return rank % self.shards


@dataclass(frozen=True, slots=True, kw_only=True)
class RankBytes:
    """What a rank holds all the time, in bytes."""

    param_bytes: int
    grad_bytes: int
    state_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """What one kind of collective moves in a step.

    Attributes:
        calls: how often it is started.
        nbytes: what a rank puts in, of an all-gather, an all-reduce and a broadcast; what it gets
            out of a reduce-scatter.
        sent_bytes: what a rank sends where the ranks stand in a ring.
        group: how many ranks take part.
    """

    name: CollectiveName
    calls: int
    nbytes: int
    sent_bytes: int
    group: int


def rows_per_shard(rows: int, shards: int) -> int:
    """Return the rows of all parts but the last ones.

    Source: ``torch.chunk``, by which ``torch.distributed.fsdp`` cuts the first axis
    (``_fully_shard/_fsdp_param.py``).
    """
    return -(-rows // shards)


def local_numel(weight: Weight, layout: Layout, rank: int) -> int:
    """Return how many elements of a parameter a rank holds; late ranks may hold none."""
    if layout.parallel == "ddp":
        return weight.numel
    rows = weight.shape[0]
    each = rows_per_shard(rows, layout.shards)
    first = layout.shard_of(rank) * each
    return max(0, min(rows - first, each)) * prod(weight.shape[1:])


def padded_bytes(unit: Unit, layout: Layout, *, trainable_only: bool = False) -> int:
    """Return what a rank puts into the all-gather of a unit: its rows, all parts made equal."""
    return sum(
        rows_per_shard(weight.shape[0], layout.shards) * prod(weight.shape[1:]) * weight.itemsize
        for weight in unit.weights
        if weight.trainable or not trainable_only
    )


def rank_bytes(units: Sequence[Unit], layout: Layout, rank: int) -> RankBytes:
    """Return what a rank holds of weights, gradients and optimiser state."""
    params = grads = state = 0
    for weight in (weight for unit in units for weight in unit.weights):
        own = local_numel(weight, layout, rank)
        params += own * weight.itemsize
        if weight.trainable:
            grads += own * weight.itemsize
            state += own * sum(weight.state_itemsizes) + weight.state_bytes
    return RankBytes(param_bytes=params, grad_bytes=grads, state_bytes=state)


def gathered_bytes(units: Sequence[Unit], layout: Layout) -> int:
    """Return what a rank holds beside its parts while a step runs, at most.

    Two blocks are whole at a time, the one at work and the one fetched ahead, with the gradient of
    one; the root's weights stay from the forward to the backward pass. Without freeing, or where
    gradients are added up over several passes, all blocks' weights or gradients are whole.
    """
    if layout.parallel == "ddp":
        return 0
    blocks = [unit for unit in units if not unit.is_root]
    root = sum(unit.nbytes for unit in units if unit.is_root)
    largest = sorted((unit.nbytes for unit in blocks), reverse=True)
    weights = sum(largest[:2] if layout.reshard else largest) + root
    gradients = [unit.gradient_bytes for unit in units]
    return weights + (sum(gradients) if layout.accumulate > 1 else max(gradients, default=0))


def traffic(
    units: Sequence[Unit], layout: Layout, *, buffer_bytes: int = 0
) -> tuple[Collective, ...]:
    """Return what the collectives of one step move, for each rank.

    Under ``fsdp`` a block is gathered for the forward and again for the backward pass, the root
    once; gradients are scattered once, after the last of the passes that are added up. ``hsdp``
    adds a sum over the copies.

    Source of what is sent on a ring of n ranks: (n - 1) times the part for a gather or a scatter,
    2 (n - 1) / n times the whole for a sum (Patarasuk and Yuan, 2009).

    Args:
        buffer_bytes: what rank 0 gives to all others before the model is evaluated or saved; 0
            leaves it out.
    """
    found: list[Collective] = []
    if layout.parallel == "ddp":
        whole = sum(unit.gradient_bytes for unit in units)
        found.append(_all_reduce(whole, layout.world, calls=1))
    else:
        found += _shard_traffic(units, layout)
    if buffer_bytes:
        found.append(
            Collective(name="broadcast", calls=1, nbytes=buffer_bytes, sent_bytes=buffer_bytes,
                       group=layout.world)
        )  # fmt: skip
    return tuple(found)


def _shard_traffic(units: Sequence[Unit], layout: Layout) -> list[Collective]:
    shards, passes = layout.shards, layout.accumulate
    gathers = gathered = scatters = scattered = 0
    for unit in units:
        part = padded_bytes(unit, layout)
        if part == 0:
            continue
        times = passes * (2 if layout.reshard and not unit.is_root else 1)
        gathers += times
        gathered += times * part
        trained = padded_bytes(unit, layout, trainable_only=True)
        scatters += trained > 0
        scattered += trained
    found = [
        Collective(name="all-gather", calls=gathers, nbytes=gathered,
                   sent_bytes=(shards - 1) * gathered, group=shards),
        Collective(name="reduce-scatter", calls=scatters, nbytes=scattered,
                   sent_bytes=(shards - 1) * scattered, group=shards),
    ]  # fmt: skip
    if layout.replicas > 1:
        found.append(_all_reduce(scattered, layout.replicas, calls=scatters))
    return found


def _all_reduce(nbytes: int, group: int, *, calls: int) -> Collective:
    sent = 2 * (group - 1) * nbytes // group
    return Collective(name="all-reduce", calls=calls, nbytes=nbytes, sent_bytes=sent, group=group)

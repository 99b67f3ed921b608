"""What a run on many devices takes on each, what it moves, and the smallest world that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from modelcli.ledger.fit import Fit, Verdict
from modelcli.ledger.peak import peak_bytes
from modelcli.ledger.sharded import (
    Collective,
    Layout,
    Parallel,
    Unit,
    gathered_bytes,
    rank_bytes,
    traffic,
)
from modelcli.loading.types import InputRecord
from modelcli.tracing.memory_record import Ledger

# A backward pass computes two products for each of the forward: for the input and for the weight.
STEP_FLOPS = 3
DEFAULT_MFU = 0.4  # the share of a device's peak that large models commonly reach


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedModel:
    """What a plan must know of a model and its optimiser.

    Attributes:
        units: the blocks, the model itself last.
        activation_bytes: the most that is alive beside weights, gradients and state, by samples.
        samples: of the global batch, what each rank of a world takes, by the size of the world.
        forward_flops: of one sample.
    """

    units: tuple[Unit, ...]
    buffer_bytes: int
    activation_bytes: Callable[[int], int]
    samples: Callable[[int], Sequence[int]]
    forward_flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the devices and the network between them do.

    Attributes:
        nodes: machines, with equally many ranks each.
        bandwidth_bits_per_s: of a machine's network, or of a rank's link where there is one
            machine; None: not told.
        local_bandwidth_bits_per_s: of a rank's link within a machine.
        flops_per_s: what a device computes, at its peak.
        mfu: the share of it that the model reaches.
        budget_bytes: memory of a device.
        overhead_bytes: of it, set aside for what is not seen.
    """

    nodes: int = 1
    bandwidth_bits_per_s: float | None = None
    local_bandwidth_bits_per_s: float | None = None
    flops_per_s: float | None = None
    mfu: float = DEFAULT_MFU
    budget_bytes: int | None = None
    overhead_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPlan:
    """What one rank holds, in bytes.

    Attributes:
        samples: of the global batch.
        gathered_bytes: weights and gradients that are whole for a moment.
        activation_bytes: all else that is alive at most: saved for the backward pass, inputs,
            temporaries.
    """

    rank: int
    samples: int
    param_bytes: int
    grad_bytes: int
    state_bytes: int
    buffer_bytes: int
    gathered_bytes: int
    activation_bytes: int

    @property
    def peak_bytes(self) -> int:
        """The sum: gradients and activations need not meet, so it may be less."""
        return (
            self.param_bytes + self.grad_bytes + self.state_bytes + self.buffer_bytes
            + self.gathered_bytes + self.activation_bytes
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A collective of a step, and the time that it needs.

    Attributes:
        time_s: None where the bandwidth of its way was not told.
    """

    collective: Collective
    time_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One line of what could be done instead."""

    parallel: Parallel
    world: int
    replicas: int
    samples: int
    peak_bytes: int
    sent_bytes: int
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """A plan.

    Attributes:
        rows: one for each rank.
        computing_s: of a step, on a rank; None where the speed of a device was not told.
        fit: of the rank that holds most.
        choices: other strategies and worlds, where they were asked for.
        smallest: the smallest of the choices that fits, by strategy.
    """

    layout: Layout
    cluster: Cluster
    batch_size: int
    units: tuple[str, ...]
    rows: tuple[RankPlan, ...]
    traffic: tuple[Movement, ...]
    computing_s: float | None
    fit: Fit | None
    inputs: tuple[InputRecord, ...]
    dtype: str | None
    optimizer: str
    loss: str
    choices: tuple[Choice, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def largest(self) -> RankPlan:
        """The rank that holds most."""
        return max(self.rows, key=lambda row: row.peak_bytes)

    @property
    def smallest(self) -> dict[Parallel, Choice]:
        """The smallest world that fits, of each strategy that has one."""
        found: dict[Parallel, Choice] = {}
        for choice in self.choices:
            if choice.verdict == "fits" and choice.parallel not in found:
                found[choice.parallel] = choice
        return found


def activation_bytes(ledger: Ledger, step: int | None) -> int:
    """Return the most that is alive at once beside weights, buffers, gradients and state."""
    kinds = ("parameter", "buffer", "gradient", "state")
    kept = tuple(block for block in ledger.blocks if block.kind not in kinds)
    return peak_bytes(replace(ledger, blocks=kept), step)[0]


def plan_ranks(model: PlannedModel, layout: Layout) -> Iterator[RankPlan]:
    """Yield what each rank holds."""
    gathered = gathered_bytes(model.units, layout)
    for rank, samples in enumerate(model.samples(layout.world)):
        held = rank_bytes(model.units, layout, rank)
        micro = -(-samples // layout.accumulate)
        yield RankPlan(
            rank=rank,
            samples=samples,
            param_bytes=held.param_bytes,
            grad_bytes=held.grad_bytes,
            state_bytes=held.state_bytes,
            buffer_bytes=model.buffer_bytes,
            gathered_bytes=gathered,
            activation_bytes=model.activation_bytes(micro),
        )


def movements(model: PlannedModel, layout: Layout, cluster: Cluster) -> tuple[Movement, ...]:
    """Return the collectives of a step with the time that each needs."""
    return tuple(
        Movement(collective=each, time_s=_time_s(each, layout, cluster))
        for each in traffic(model.units, layout)
    )


def _time_s(collective: Collective, layout: Layout, cluster: Cluster) -> float | None:
    """Return the time that a ring needs, or None where its bandwidth was not told.

    A ring over all ranks leaves a machine once, so that what one rank sends goes over its network.
    Where copies of the model (``hsdp``) lie within machines, each rank of a machine has a ring of
    its own to the other copies, and they share the network.
    """
    within = layout.parallel == "hsdp" and layout.replicas % cluster.nodes == 0
    inside = cluster.nodes == 1 or (within and collective.name != "all-reduce")
    speed = cluster.bandwidth_bits_per_s
    if inside and cluster.nodes > 1:
        speed = cluster.local_bandwidth_bits_per_s
    elif inside:
        speed = cluster.local_bandwidth_bits_per_s or speed
    if speed is None:
        return None
    rings = layout.world // cluster.nodes if within and not inside else 1
    return 8 * collective.sent_bytes * rings / speed


def computing_s(model: PlannedModel, samples: int, cluster: Cluster) -> float | None:
    """Return the time that a rank computes in a step, by the share of its peak that it reaches."""
    if cluster.flops_per_s is None:
        return None
    return STEP_FLOPS * model.forward_flops * samples / (cluster.flops_per_s * cluster.mfu)


def fit_of(peak: int, cluster: Cluster) -> Fit | None:
    """Judge the rank that holds most; None where the devices' memory was not told.

    As for one device, it is *tight* where only the overhead lacks room. What the allocator keeps
    beside the tensors is not known of a rank.
    """
    budget = cluster.budget_bytes
    if budget is None:
        return None
    needed = peak + cluster.overhead_bytes
    verdict: Verdict = "fits" if needed <= budget else "tight"
    return Fit(
        verdict=verdict if peak <= budget else "does not fit",
        budget_bytes=budget,
        overhead_bytes=cluster.overhead_bytes,
        needed_bytes=needed,
        spare_bytes=budget - needed,
    )


def choices(
    model: PlannedModel, asked: Layout, batch_size: int, cluster: Cluster
) -> tuple[Choice, ...]:
    """Return every strategy on worlds of 1, 2, 4, ... ranks up to the one that was asked for."""
    found = []
    strategies: tuple[Parallel, ...] = get_args(Parallel)
    for parallel in strategies:
        for world in _worlds(asked.world, batch_size):
            layout = _layout(parallel, world, asked)
            if layout is None:
                continue
            rows = list(plan_ranks(model, layout))
            peak = max(row.peak_bytes for row in rows)
            fit = fit_of(peak, cluster)
            found.append(
                Choice(
                    parallel=layout.parallel,
                    world=world,
                    replicas=layout.replicas,
                    samples=max(row.samples for row in rows),
                    peak_bytes=peak,
                    sent_bytes=sum(each.sent_bytes for each in traffic(model.units, layout)),
                    verdict=None if fit is None else fit.verdict,
                )
            )
    return tuple(found)


def _worlds(most: int, batch_size: int) -> Sequence[int]:
    powers = [1 << n for n in range(most.bit_length()) if 1 << n < most]
    return [world for world in (*powers, most) if world <= batch_size]


def _layout(parallel: Parallel, world: int, asked: Layout) -> Layout | None:
    if parallel != "hsdp":
        return replace(asked, parallel=parallel, world=world, replicas=1)
    replicas = asked.replicas if asked.parallel == "hsdp" else 2
    if world % replicas or world // replicas < 2:
        return None
    return replace(asked, parallel=parallel, world=world, replicas=replicas)

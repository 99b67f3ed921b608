"""What may be asked of a plan for many devices."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.errors import UsageError
from modelcli.ledger.devices import Cluster
from modelcli.ledger.sharded import Layout, Parallel
from modelcli.planning.options import MemoryOptions

DEFAULT_WORLD = 8
_MOST_RANKS = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """The options of ``plan``.

    Attributes:
        batch_size: the global batch.
        step: the step of training, as ``memory`` takes it.
        compare: also plan other strategies and smaller worlds.
    """

    layout: Layout
    cluster: Cluster
    batch_size: int
    step: MemoryOptions
    compare: bool = False

    def __post_init__(self) -> None:
        """Check what goes together.

        Raises:
            UsageError: it does not.
        """
        layout, nodes = self.layout, self.cluster.nodes
        if self.batch_size < layout.world:
            raise UsageError(
                f"{layout.world} ranks are more than the {self.batch_size} samples of a batch",
                f"use --batch-size {layout.world} or more, or a smaller --world",
            )
        if layout.world % nodes:
            raise UsageError(
                f"{layout.world} ranks cannot be divided among {nodes} machines",
                "use --nodes with a divisor of --world",
            )
        if layout.parallel == "hsdp" and (
            layout.replicas < 2 or layout.world % layout.replicas or layout.shards < 2
        ):
            raise UsageError(
                f"{layout.world} ranks make no {layout.replicas} copies that are cut among "
                "several ranks each",
                "give --replicas with a divisor of --world, or use --parallel fsdp",
            )


def make_layout(
    *,
    parallel: Parallel | None = None,
    world: int | None = None,
    replicas: int | None = None,
    reshard: bool | None = None,
    accumulate: int | None = None,
    nodes: int = 1,
) -> Layout:
    """Check what was given and return the layout; None stands for the default.

    Raises:
        UsageError: an option that belongs to another strategy, or more ranks than there are
            rows to look at.
    """
    kind = parallel or "ddp"
    if world is not None and world > _MOST_RANKS:
        raise UsageError(
            f"--world {world} is above {_MOST_RANKS:,} ranks", "each of them is a row of the plan"
        )
    if replicas is not None and kind != "hsdp":
        raise UsageError(
            f"--replicas {replicas} is for hsdp, and --parallel is {kind}",
            "use --parallel hsdp, or leave it out",
        )
    if reshard is not None and kind == "ddp":
        flag = "--reshard" if reshard else "--no-reshard"
        raise UsageError(f"{flag} is for fsdp and hsdp, not for ddp", "add --parallel fsdp")
    return Layout(
        parallel=kind,
        world=DEFAULT_WORLD if world is None else world,
        replicas=(replicas or nodes) if kind == "hsdp" else 1,
        reshard=reshard is not False,
        accumulate=1 if accumulate is None else accumulate,
    )

"""``modelcli.plan``: what a run on many devices takes on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import given_inputs, source_for
from modelcli.ledger.devices import Cluster, DevicePlan, RankPlan
from modelcli.ledger.sharded import Parallel
from modelcli.ledger.sizes import parse_memory
from modelcli.loading.types import InputRequest
from modelcli.planning.device_options import DEFAULT_WORLD, DeviceOptions, make_layout
from modelcli.planning.devices import plan_devices
from modelcli.planning.options import make_memory_options
from modelcli.views.plan import plan_body, plan_tables
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(Shown):
    """A plan for many devices.

    Attributes:
        record: everything that is known.
    """

    record: DevicePlan

    @property
    def rows(self) -> tuple[RankPlan, ...]:
        """One row for each rank."""
        return self.record.rows

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli plan --format json`` writes."""
        return plan_body(self.record)

    def tables(self) -> tuple[Table, ...]:
        """Return the tables of the command."""
        return plan_tables(self.record)


def plan(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    world: int = DEFAULT_WORLD,
    parallel: Parallel = "ddp",
    batch_size: int | None = None,
    replicas: int | None = None,
    reshard: bool | None = None,
    accumulate: int = 1,
    optimizer: str | None = "adamw",
    loss: str = "auto",
    dtype: str | None = None,
    checkpoint: Sequence[str] = (),
    device_memory: int | str | None = None,
    what_if: bool = False,
) -> Plan:
    """Tell what each rank of a run on many devices takes, and what the ranks tell each other.

    Args:
        model: a module, which is copied, or a target as on the command line.
        inputs: as `summary` takes them.
        world: number of ranks.
        parallel: ``ddp``, ``fsdp`` or ``hsdp``.
        batch_size: samples of all ranks together; one a rank if it is left out.
        replicas: copies of the model under ``hsdp``.
        reshard: free a block's weights after the forward pass.
        accumulate: batches whose gradients make one step.
        optimizer: a name as ``train`` takes it; None takes no step.
        loss: a name as ``train`` takes it.
        dtype: of weights and floating inputs.
        checkpoint: patterns of the modules that are computed again in the backward pass.
        device_memory: bytes, or a size or card as on the command line.
        what_if: also plan every strategy on smaller worlds.

    Raises:
        UsageError: inputs or options that do not fit, or a model that FSDP cannot cut.
        RunFailedError: the step of training raised.
    """
    source = source_for(model)
    budget = parse_memory(device_memory) if isinstance(device_memory, str) else device_memory
    step = make_memory_options(
        mode="train", optimizer=optimizer or "none", loss=loss, dtype=dtype,
        checkpoint=tuple(checkpoint), budget_bytes=budget,
    )  # fmt: skip
    options = DeviceOptions(
        layout=make_layout(
            parallel=parallel, world=world, replicas=replicas, reshard=reshard,
            accumulate=accumulate,
        ),
        cluster=Cluster(budget_bytes=budget, overhead_bytes=step.overhead_bytes),
        batch_size=world if batch_size is None else batch_size,
        step=step,
        compare=what_if,
    )  # fmt: skip
    given = None if inputs is None else given_inputs(inputs, {}, source)
    return Plan(record=plan_devices(source, InputRequest(), options, inputs=given))

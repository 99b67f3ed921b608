"""What ``modelcli memory`` found out: plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelcli.ledger.fit import Fit
from modelcli.ledger.layers import LayerMemory
from modelcli.ledger.peak import Peak
from modelcli.ledger.timeline import Moment
from modelcli.ledger.unknown import Unknown
from modelcli.loading.types import Attempt, InputRecord
from modelcli.tracing.record import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class PassMemory:
    """The memory of a step of training, or of a pass of inference.

    Attributes:
        peak: of the tensors' own bytes.
        first_step_bytes: the peak of the first step, whose optimiser has no state yet; None for
            inference.
        rounded_bytes: the peak where every block takes a multiple of 512 bytes.
        reserved_bytes: what the caching allocator would hold; the same on a CPU, which has none.
        saved_bytes: kept for the backward pass of one step.
        timeline: of the step that is reported.
        operations: how many were run in all steps.
    """

    peak: Peak
    first_step_bytes: int | None
    rounded_bytes: int
    reserved_bytes: int
    saved_bytes: int
    timeline: tuple[Moment, ...]
    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What the numbers hold for.

    Attributes:
        batch_size: first dimension of the first input; None where there is none.
        optimizer: its name, or ``none``.
        implementation: ``fused``, ``foreach`` or ``loop``.
        attention: how often each kernel of attention is taken.
        checkpointed: the modules whose inside is computed again in the backward pass.
    """

    device: str
    execution: str
    dtype: str | None
    batch_size: int | None
    optimizer: str = "none"
    implementation: str = ""
    loss: str = ""
    attention: Mapping[str, int] = field(default_factory=dict)
    zero_grad: str = "after-step"
    accumulate: int = 1
    steps: int = 0
    checkpointed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSizes:
    """What is known of other batches.

    Attributes:
        law: ``exact`` where two passes tell any batch, else ``none``; ``""`` where nobody asked.
        reason: why there is no law.
        fixed_bytes: the peak of a batch of none.
        sample_bytes: what a sample adds to the peak at the batch that is reported; None without
            a law.
        largest: the largest batch that fits; None where no budget was given.
    """

    law: str = ""
    reason: str = ""
    fixed_bytes: int | None = None
    sample_bytes: int | None = None
    largest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A step of training under one choice.

    Attributes:
        checkpoint: patterns of the modules that are computed again.
        verdict: None where no budget was given.
        largest: the largest batch that fits the budget.
    """

    optimizer: str
    dtype: str
    checkpoint: tuple[str, ...]
    peak_bytes: int
    reserved_bytes: int
    state_bytes: int
    saved_bytes: int
    verdict: str | None = None
    largest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecord:
    """Everything that a report on memory says.

    Attributes:
        train: None where nothing was trained; ``remarks`` say why.
        eval: None where inference was not asked for.
        rows: one for each module; of the training step, or of inference where that is all.
        failure: where the forward stopped; the numbers are those up to there.
    """

    model_type: str
    assumptions: Assumptions
    inputs: tuple[InputRecord, ...]
    train: PassMemory | None = None
    eval: PassMemory | None = None
    rows: tuple[LayerMemory, ...] = ()
    batch: BatchSizes = field(default_factory=BatchSizes)
    fit: Fit | None = None
    unknown: tuple[Unknown, ...] = ()
    failure: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def main(self) -> PassMemory | None:
        """What the verdict and the rows are of: training if there is any."""
        return self.train or self.eval

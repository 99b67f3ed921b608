"""From the ledgers of passes to the record of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelcli.ledger.fit import Fit, judge
from modelcli.ledger.layers import layer_rows
from modelcli.ledger.peak import ROUND_BYTES, find_peak, peak_bytes, saved_by
from modelcli.ledger.record import Assumptions, BatchSizes, MemoryRecord, PassMemory
from modelcli.ledger.timeline import timeline
from modelcli.ledger.unknown import list_unknown
from modelcli.loading.types import Attempt, InputRecord
from modelcli.planning.batches import Largest, Passes, reserved_bytes
from modelcli.planning.options import MemoryOptions
from modelcli.planning.step import Recorded
from modelcli.tracing.memory_record import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a model is, beside its ledgers.

    Attributes:
        modules: path and class of each.
        recurrent: paths of the recurrent layers of torch.
        inputs_at: the inputs at a batch, None for their own.
        implementation: which one the optimiser took, once it has taken a step.
    """

    model_type: str
    modules: tuple[tuple[str, str], ...]
    recurrent: frozenset[str]
    inputs_at: Callable[[int | None], tuple[InputRecord, ...]]
    attempts: tuple[Attempt, ...]
    execution: str
    device: str
    dtype: str | None
    checkpointed: tuple[str, ...]
    implementation: Callable[[], str]


def make_record(facts: Facts, passes: Passes, remarks: Sequence[str]) -> MemoryRecord:
    """Make the passes that are wanted, and return what they tell."""
    options = passes.options
    budget = options.budget_bytes
    largest = passes.largest(budget) if budget is not None and options.wants_largest else None
    batch = options.batch_size if isinstance(options.batch_size, int) else None
    if options.batch_size == "max" and largest is not None:
        batch = max(1, largest.batch)
    train = passes.learn(batch)
    infer = passes.infer(batch)
    main = train or infer
    assert main is not None  # one of the two was asked for
    failed = next((r for r in (train, infer) if r is not None and r.error is not None), None)
    shown = failed or main
    trained = _pass_memory(train, facts) if train is not None else None
    inferred = _pass_memory(infer, facts) if infer is not None else None
    of_main = trained or inferred
    assert of_main is not None
    return MemoryRecord(
        model_type=facts.model_type,
        assumptions=_assumptions(facts, options, train, infer, batch),
        inputs=facts.inputs_at(batch),
        train=trained,
        eval=inferred,
        rows=layer_rows(facts.modules, main.ledger, main.ledger.steps, of_main.peak.event),
        batch=_batch_sizes(largest, of_main, batch),
        fit=_fit(options, main.ledger),
        unknown=list_unknown(
            main.ledger,
            device=facts.device,
            reserved_bytes=of_main.reserved_bytes,
            rounded_bytes=of_main.rounded_bytes,
            recurrent_bytes=_recurrent_bytes(facts, main.ledger),
        ),
        failure=shown.ledger.failure,
        attempts=facts.attempts,
        remarks=(*remarks, *_answered(shown.ledger)),
    )


def _pass_memory(recorded: Recorded, facts: Facts) -> PassMemory:
    ledger = recorded.ledger
    step = ledger.steps
    return PassMemory(
        peak=find_peak(ledger, step),
        first_step_bytes=peak_bytes(ledger, 1)[0] if step > 1 else None,
        rounded_bytes=peak_bytes(ledger, step, ROUND_BYTES)[0],
        reserved_bytes=reserved_bytes(ledger, facts.device),
        saved_bytes=sum(saved_by(ledger, step).values()),
        timeline=timeline(ledger, step),
        operations=ledger.operations,
    )


def _assumptions(
    facts: Facts,
    options: MemoryOptions,
    train: Recorded | None,
    infer: Recorded | None,
    batch: int | None,
) -> Assumptions:
    main = train or infer
    sizes = [record.shape[0] for record in facts.inputs_at(batch) if record.shape]
    has_step = train is not None and options.optimizer is not None
    return Assumptions(
        device=facts.device,
        execution=facts.execution,
        dtype=facts.dtype,
        batch_size=next(iter(sizes), None),
        optimizer=options.optimizer.name if has_step and options.optimizer is not None else "none",
        implementation=facts.implementation() if has_step else "",
        loss=train.loss if train is not None else "",
        attention=main.ledger.attention if main is not None else {},
        zero_grad=options.zero_grad,
        accumulate=options.accumulate,
        steps=train.ledger.steps if train is not None else 0,
        checkpointed=facts.checkpointed,
    )


def _batch_sizes(largest: Largest | None, main: PassMemory, batch: int | None) -> BatchSizes:
    if largest is None:
        return BatchSizes()
    law = largest.law
    if law is None:
        return BatchSizes(law="none", reason=largest.reason, largest=largest.batch)
    here = batch or 1
    grown = law.peak(here + 1, None) - law.peak(here, None)
    return BatchSizes(
        law="exact",
        fixed_bytes=law.fixed_bytes,
        sample_bytes=grown,
        largest=largest.batch,
    )


def _answered(ledger: Ledger) -> tuple[str, ...]:
    if not ledger.answered:
        return ()
    return ("masks of transformers were taken to hide nothing, as where every token counts",)


def _fit(options: MemoryOptions, ledger: Ledger) -> Fit | None:
    if options.budget_bytes is None:
        return None
    return judge(
        ledger,
        device=options.device,
        budget_bytes=options.budget_bytes,
        overhead_bytes=options.overhead_bytes,
    )


def _recurrent_bytes(facts: Facts, ledger: Ledger) -> int:
    if not facts.recurrent or not ledger.steps:
        return 0
    held = saved_by(ledger, ledger.steps)
    return sum(nbytes for path, nbytes in held.items() if path in facts.recurrent)

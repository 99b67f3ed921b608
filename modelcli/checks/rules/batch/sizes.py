"""Batch sizes that are refused or not kept (MC402)."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.foreign import last_step
from modelcli.checks.observe.locate import raising_place
from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.checks.rules.batch.mixing import find_leak
from modelcli.tracing.vocabulary import Trait, has

if TYPE_CHECKING:
    from modelcli.checks.observe.batch import Batches
    from modelcli.checks.observe.context import Context


class BatchSizes(Rule):
    """Batch sizes that are not accepted, or not kept."""

    id = "MC402"
    title = "the batch size is not kept"
    severity = Severity.ERROR
    needs = "pass"
    why = (
        "Rows of the output are paired with targets by their number: a batch that is folded or "
        "doubled trains on the wrong pairs; one that is refused stops at the last, smaller batch."
    )
    fix = "x.flatten(1) or x.view(x.size(0), -1) keeps the batch; join along dim=1, not dim=0."
    justified = (
        "A row for every step of every sample (logits of B * T tokens) is an info; a size that "
        "the model refuses with a raise or an assert of its own is a warning. Samples that stand "
        "in another dimension than the first, or in a list, are kept."
    )
    input = "2x4x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 2)

            def forward(self, x):
                return self.fc(x.view(-1, 8))  # 16 values a sample: two rows each
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(16, 2)

            def forward(self, x):
                return self.fc(x.view(x.size(0), -1))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Run with one, two and three samples and look for them in the shape of the output."""
        tried = context.batches
        if not any(tried.main(size) for size in tried.shapes):
            raise CannotRun("the output has no batch dimension")
        if tried.refused:
            yield self._refusal(context, tried)
        if tried.is_listed:
            return
        finding = self._misfit(context, tried)
        if finding is not None:
            yield finding

    def _refusal(self, context: Context, tried: Batches) -> Finding:
        size, error = min(tried.refused.items())
        _require_certainty(context, tried, error)
        text = str(error).strip() or type(error).__name__
        worked = ", ".join(str(n) for n in sorted(tried.shapes))
        return self.found(
            "",
            f"a batch of {size} is refused ({text.splitlines()[0][:120]}); {worked} worked",
            fix="Write no batch size into view(), reshape() or a buffer: use x.size(0).",
            severity=Severity.WARNING if _is_deliberate(error) else None,
            place=raising_place(error),
        )

    def _misfit(self, context: Context, tried: Batches) -> Finding | None:
        """Return what to say of an output that does not hold the samples, if anything."""
        from modelcli.checks.observe.batch import count_steps

        axes = tried.axes
        odd = [n for n in tried.shapes if axes and tried.main(n)[axes[0] : axes[0] + 1] != (n,)]
        if axes and not odd:
            return None
        if odd:
            size = odd[0]
        elif tried.is_constant:
            if not _is_reduced(context, tried):
                raise CannotRun("no dimension of the output goes with the batch")
            size = max(tried.shapes)
        else:
            size = max(tried.shapes)
            if len(tried.shapes) > 1 and _varies(context, size):
                raise CannotRun("how many rows come out depends on the values that go in")
            steps = count_steps(context, tried)
            if steps:
                return self._flattened(size, steps)
        return self._report(context, size, tried.main(size))

    def _flattened(self, size: int, steps: int) -> Finding:
        return self.found(
            "",
            f"{size} samples in, {size * steps} rows out: one for each of {steps} steps",
            severity=Severity.INFO,
            fix="Flatten the targets alike: targets.view(-1).",
        )

    def _report(self, context: Context, size: int, shape: tuple[int, ...]) -> Finding:
        samples = "1 sample" if size == 1 else f"{size} samples"
        count = shape[0] if shape else 0
        rows = {0: "a scalar", 1: "1 row"}.get(count, f"{count} rows")
        if count == size:
            rows = "an output of " + "x".join(map(str, shape))
        fix, place, path, message = None, None, "", f"{samples} in, {rows} out"
        for event in _mixers(context):
            if event.op in ("cat", "view", "reshape"):
                message += f"; {event.op} changes the first dimension"
                place, path = event.place, event.path
                if event.op == "cat":
                    fix = "Join the features, not the batch: torch.cat(..., dim=1)."
                break
        return self.found(path, message, fix=fix, place=place)


def _mixers(context: Context) -> list[Any]:
    try:
        return context.eval_pass.seen.mixers
    except CannotRun:
        return []


def _require_certainty(context: Context, tried: Batches, error: Exception) -> None:
    """Check that a refusal can only be about the batch.

    Raises:
        CannotRun: dimension 0 may be something else, or the values may be the reason.
    """
    from modelcli.checks.observe.batch import plain_sizes

    records = context.inputs.records
    if tried.axis != 0 and not (tried.axes and len(tried.shapes) == 1):
        raise CannotRun("no dimension of the output goes with the first one of the input")
    if len(records) > 1 and context.is_guessed:
        raise CannotRun("the shapes of several inputs were guessed; --input gives them")
    if any(n == tried.given for n in plain_sizes(context)):
        raise CannotRun("a plain argument may say the batch size")
    ids = any(not record.is_floating for record in records)
    if ids and (isinstance(error, IndexError) or "out of range" in str(error)):
        raise CannotRun("the ids that were drawn may be the reason why other sizes are refused")
    if tried.given > 1 and find_leak(context) is not None:
        raise CannotRun(
            "dimension 0 seems to be no batch: its rows depend on one another, and no other "
            "number of them is taken"
        )


def _is_deliberate(error: Exception) -> bool:
    """Tell whether the model itself raises, with ``raise`` or ``assert``."""
    step = last_step(error)
    if step is None:
        return False
    line = linecache.getline(step.tb_frame.f_code.co_filename, step.tb_lineno)
    return line.strip().startswith(("raise ", "assert "))


def _is_reduced(context: Context, tried: Batches) -> bool:
    """Tell whether a function is seen to reduce samples, not the points or nodes of one."""
    if len(tried.shapes) < 2 or any(len(record.shape) < 3 for record in context.ran.inputs):
        return False
    return any(has(event.op, Trait.REDUCES) for event in _mixers(context))


def _varies(context: Context, size: int) -> bool:
    from modelcli.checks.observe.batch import depends_on_values
    from modelcli.checks.observe.foreign import ModelRaised

    if not context.is_light:
        return False
    try:
        return depends_on_values(context, size)
    except ModelRaised:
        return True

"""Samples of a batch that depend on each other (MC401)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from torch import Tensor

    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.passes import EvalPass

_LEAK = 1e-6  # of a sample's influence on itself: rounding stays far below


class SamplesMix(Rule):
    """A sample's output depends on another sample."""

    id = "MC401"
    title = "samples of a batch depend on each other"
    severity = Severity.ERROR
    needs = "values"
    why = (
        "The answer for one sample changes with what else is in the batch: training learns from "
        "neighbours, and a batch of one answers differently."
    )
    fix = "Reduce over the features only, as x.mean(dim=1, keepdim=True); joins go along dim=1."
    input = "3x5"
    wrong = example("""
        class Net(nn.Module):
            def forward(self, x):
                return x - x.mean()  # over the batch, too
    """)
    right = example("""
        class Net(nn.Module):
            def forward(self, x):
                return x - x.mean(dim=1, keepdim=True)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Follow gradients of one row's output to every sample; for ids, change a sample."""
        context.require_batch()
        ran = context.eval_pass
        if ran.batch < 2:
            raise CannotRun("the model takes no batch of two (MC402)")
        pair = find_leak(context)
        if pair is None:
            return
        if context.batches.refused:
            raise CannotRun(
                "dimension 0 seems to be no batch: its rows depend on one another, and no other "
                "number of them is taken"
            )
        yield self._report(ran, *pair)

    def _report(self, ran: EvalPass, row: int, sample: int) -> Finding:
        suspect = ran.seen.mixers[0] if ran.seen.mixers else None
        message = f"in eval mode, output row {row} depends on sample {sample} of {ran.batch}"
        fix, place, path = None, None, ""
        if suspect is not None:
            where = f" in '{suspect.path}'" if suspect.path else ""
            message += f"; {suspect.op}{where} works across the batch"
            place, path = suspect.place, suspect.path
            if "batch_first" in suspect.op:
                fix = "Dimension 0 is time here: batch_first=True makes it the batch."
            elif suspect.op == "cat":
                fix = "Join the features: torch.cat(..., dim=1)."
        return self.found(path, message, fix=fix, place=place)


def find_leak(context: Context) -> tuple[int, int] | None:
    """Return an output row and another sample on which it depends, or None.

    Raises:
        CannotRun: the output does not hold the samples along one dimension.
    """
    from modelcli.checks.observe.batch import output_axis

    ran = context.eval_pass
    axis = output_axis(context)
    if axis is None:
        raise CannotRun("the output has no batch dimension (MC402)")
    if len(context.batches.axes) > 1:
        raise CannotRun("the output compares every sample with every other")
    if ran.batch < 2:
        return None
    if ran.reach is not None:
        return _leak_by_gradient(ran)
    return _leak_by_change(context, ran, axis)


def _leak_by_gradient(ran: EvalPass) -> tuple[int, int] | None:
    assert ran.reach is not None
    for row, sizes in ran.reach.items():
        own = sizes[row] if row < len(sizes) else 0.0
        for sample, size in enumerate(sizes):
            if sample != row and size > _LEAK * max(own, 1e-12):
                return row, sample
    return None


def _leak_by_change(context: Context, ran: EvalPass, axis: int) -> tuple[int, int] | None:
    """Change the last sample, and see whether the first one's output changes."""
    from modelcli.checks.observe.foreign import ModelRaised
    from modelcli.checks.observe.passes import differ, run_plain
    from modelcli.checks.observe.values import input_tensors, map_inputs

    others = iter(input_tensors(context.filled(ran.model, ran.batch, seed=7)))

    def change(_path: str, tensor: Tensor) -> Tensor:
        other = next(others)
        changed = tensor.clone()
        if changed.dim() and changed.shape[0] == ran.batch:
            changed[-1] = other[-1]
        return changed

    if ran.is_random:
        raise CannotRun("the output is random in eval mode (MC301)")
    try:
        outputs = run_plain(ran.model, map_inputs(ran.inputs, change))
    except ModelRaised as raised:
        raise CannotRun(f"it raises for other values: {raised}") from raised
    if not outputs or not ran.outputs or outputs[0].shape != ran.outputs[0].shape:
        raise CannotRun("the output has no batch dimension")
    first = [each.select(axis, 0) for each in (ran.outputs[0], outputs[0])]
    if differ(first[:1], first[1:], tolerance=1e-4):
        return 0, ran.batch - 1
    return None

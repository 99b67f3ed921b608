"""Norms that see one value at a time (MC303)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.modules import switch_mode

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.probe.seen import Event
from modelcli.checks.observe.locate import place_of


class OneValuePerChannel(Rule):
    """A norm that sees one value."""

    id = "MC303"
    title = "a norm that sees one value per channel"
    needs = "values"
    why = (
        "The mean of one value is the value: what comes out is the bias, whatever went in. Batch "
        "norm raises in training."
    )
    fix = "Put the norm before the pooling, or normalise over channels (GroupNorm(1, C))."
    justified = (
        "Batch norm behind a global pooling sees one value a sample: an info, since it only needs "
        "batches of two and more in training."
    )
    input = "2x3x8x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 8, 3)
                self.norm = nn.GroupNorm(8, 8)  # a group for every channel

            def forward(self, x):
                pooled = F.adaptive_avg_pool2d(self.conv(x), 1)
                return self.norm(pooled).flatten(1)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 8, 3)
                self.norm = nn.GroupNorm(8, 8)

            def forward(self, x):
                normed = self.norm(self.conv(x))
                return F.adaptive_avg_pool2d(normed, 1).flatten(1)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at the shapes that went into norms, a batch of several samples given."""
        failure = context.failure
        if failure is not None and "more than 1 " in failure.message:
            shape = "x".join(map(str, failure.input_shapes[0])) if failure.input_shapes else "it"
            yield self.found(
                failure.path,
                f"{failure.node_type} on {shape}: {failure.message}",
                severity=Severity.ERROR,
            )
            return
        try:
            ran: Any = context.eval_pass
        except CannotRun:
            ran = context.train_pass  # which notes a norm that raises
        raised = ran.seen.error is not None
        values, places = ran.seen.lone_values, ran.seen.lone_places
        if (values or places) and context.larger is not None:
            still = _alone_in_a_larger_map(context)
            values = [event for event in values if event.path in still]
            places = [event for event in places if event.path in still]
        yield from self._report(ran, values, raised=raised)
        yield from self._report_places(ran, places)

    def _report(self, ran: Any, events: list[Event], *, raised: bool) -> Iterator[Finding]:
        for kind in dict.fromkeys(event.op for event in events if ran.batch > 1):
            alike = list({event.path: event for event in events if event.op == kind}.values())
            more = f"; {len(alike) - 1} others are alike" if len(alike) > 1 else ""
            yield self.found(
                alike[0].path,
                f"{kind} on {alike[0].detail} sees one value at a time{more}",
                severity=Severity.ERROR if raised else None,
                place=place_of(ran.model, alike[0].path),
            )

    def _report_places(self, ran: Any, events: list[Event]) -> Iterator[Finding]:
        alike = list({event.path: event for event in events}.values())
        if alike:
            more = f"; {len(alike) - 1} others are alike" if len(alike) > 1 else ""
            yield self.found(
                alike[0].path,
                f"{alike[0].op} on a map of one place ({alike[0].detail}) needs two samples in "
                f"training{more}",
                severity=Severity.INFO,
                fix="Train with batches of two and more; drop a last batch of one.",
                place=place_of(ran.model, alike[0].path),
            )


def _alone_in_a_larger_map(context: Context) -> set[str]:
    """Return the norms that see one value of a larger input, too: a guessed size is our choice."""
    import torch

    from modelcli.checks.observe.passes import names_of
    from modelcli.checks.observe.probe.watch import watch_pass

    model = switch_mode(context.fresh(), False)
    inputs = context.filled_larger(model, 2)
    assert inputs is not None
    with torch.no_grad():
        seen = watch_pass(model, inputs, known=names_of(model))
    return {event.path for event in (*seen.lone_values, *seen.lone_places)}

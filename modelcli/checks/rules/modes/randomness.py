"""Random numbers in eval mode (MC301)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.passes import EvalPass
    from modelcli.checks.observe.probe.seen import Event
from modelcli.checks.observe.changes import changes
from modelcli.modules import switch_mode


class RandomInEval(Rule):
    """Two eval passes on the same input differ."""

    id = "MC301"
    title = "the output is random in eval mode"
    severity = Severity.ERROR
    needs = "values"
    why = "Measurements and served answers change from call to call."
    fix = "F.dropout(x, p, training=self.training), or an nn.Dropout made in __init__."
    justified = (
        "Sampling that is meant (a variational encoder, random masking) is a warning, not an error."
    )
    input = "2x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 8)
                self.fc2 = nn.Linear(8, 2)

            def forward(self, x):
                return self.fc2(F.dropout(torch.relu(self.fc1(x)), 0.5))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 8)
                self.fc2 = nn.Linear(8, 2)

            def forward(self, x):
                hidden = torch.relu(self.fc1(x))
                return self.fc2(F.dropout(hidden, 0.5, training=self.training))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare two passes, and name the functions that drew random numbers."""
        ran = context.eval_pass
        if not ran.is_random:
            return
        ours = [e for e in ran.seen.draws if e.detail != "module" and not _is_fresh_weight(e, ran)]
        told: set[tuple[str, str]] = set()
        for event in ours:
            if (event.path, event.op) in told:
                continue
            told.add((event.path, event.op))
            yield self._report(event)
        if told or ran.seen.draws or ran.seen.fresh_weights:
            return  # or other rules have said it
        if ran.seen.foreign_draw:
            yield self.found(
                "", f"two eval passes differ: {ran.seen.foreign_draw} was asked during the pass"
            )
        elif not list(changes(ran)):
            if _repeats_anew(context, ran):
                yield self.found(
                    "",
                    "two eval passes on the same input differ, and a fresh instance gives the "
                    "first answer again: something is kept from one pass to the next",
                    fix="Return a hidden state and take it as an input, instead of keeping it.",
                )
                return
            yield self.found(
                "",
                "two eval passes on the same input differ, and no function drew random numbers",
                fix="Look for memory that is never filled: torch.empty() without an init.",
            )

    def _report(self, event: Event) -> Finding:
        is_dropout = "dropout" in event.op or event.op in ("rrelu", "scaled_dot_product_attention")
        where = f"'{event.path}'" if event.path else "forward"
        return self.found(
            event.path,
            f"two eval passes on the same input differ: {event.op} in {where} draws random numbers",
            severity=Severity.ERROR if is_dropout else Severity.WARNING,
            fix=None if is_dropout else f"Leave {event.op} out unless self.training.",
            place=event.place,
        )


def _is_fresh_weight(event: Event, ran: EvalPass) -> bool:
    """Tell whether the random numbers became a weight, which MC205 reports."""
    return any(weight.path == event.path for weight in ran.seen.fresh_weights)


def _repeats_anew(context: Context, ran: EvalPass) -> bool:
    """Tell whether a fresh instance answers as the first pass did: no chance is at work."""
    from modelcli.checks.observe.foreign import ModelRaised
    from modelcli.checks.observe.passes import differ, run_plain

    try:
        return not differ(ran.outputs, run_plain(switch_mode(context.fresh(), False), ran.inputs))
    except ModelRaised:
        return False

"""Dropout and batch norm that eval() does not reach (MC302)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.passes import EvalPass
    from modelcli.checks.observe.probe.seen import Event
from modelcli.checks.observe.locate import place_of
from modelcli.modules import modules_of


class IgnoresEval(Rule):
    """Dropout or batch norm that ignores eval()."""

    id = "MC302"
    title = "ignores eval()"
    severity = Severity.ERROR
    needs = "values"
    why = (
        "Dropout keeps dropping and batch norm keeps using (and updating) the statistics of the "
        "batch: answers depend on what else is in the batch."
    )
    fix = "Let train() and eval() reach it: register it, and call super().train(mode) in train()."
    input = "4x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                self.norm = nn.BatchNorm1d(8)

            def forward(self, x):
                self.norm.train()
                return self.norm(self.fc(x))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                self.norm = nn.BatchNorm1d(8)

            def forward(self, x):
                return self.norm(self.fc(x))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for dropout that draws and batch norm that trains, in an eval pass."""
        ran = context.eval_pass
        told: set[str] = set()
        dropped = [event for event in ran.seen.draws if event.detail == "module"]
        for event in (*dropped, *ran.seen.training_norms):
            if event.path in told:
                continue
            told.add(event.path)
            yield self._report(ran, event)

    def _report(self, ran: EvalPass, event: Event) -> Finding:
        from torch import nn

        modules = {name: m for m, name in ((m, ran.names.get(id(m))) for m in _all(ran)) if name}
        module = modules.get(event.path)
        place = event.place
        if not isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)):
            return self.found(
                event.path,
                f"{event.op} runs as in training although the model is in eval mode",
                fix="F.batch_norm(..., training=self.training).",
                place=place,
            )
        kind = type(module).__name__
        if getattr(module, "track_running_stats", True) is False:
            return self.found(
                event.path,
                f"{kind} without running statistics uses those of the batch in eval mode, too",
                severity=Severity.WARNING,
                fix="track_running_stats=True, or a norm that looks at one sample (GroupNorm).",
                place=place_of(ran.model, event.path),
            )
        return self.found(
            event.path,
            f"{kind} is still in training mode during an eval pass",
            place=place_of(ran.model, event.path) or place,
        )


def _all(ran: EvalPass) -> Iterator[Any]:
    from modelcli.checks.observe.attributes import find_hidden

    yield from modules_of(ran.model)
    for hidden in find_hidden(ran.model):
        if hasattr(hidden.value, "modules"):
            yield from modules_of(hidden.value)

"""State that an eval pass changes (MC304)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.observe.locate import assignment
from modelcli.checks.record import Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
from modelcli.checks.observe.changes import changes, fails_the_second_time, settled
from modelcli.modules import find_module


class ChangesState(Rule):
    """An eval pass that changes state."""

    id = "MC304"
    title = "an eval pass changes the model"
    needs = "values"
    why = "What the model answers depends on what it was asked before; its checkpoint drifts, too."
    fix = "Update only if self.training; return a hidden state instead of keeping it."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                self.register_buffer("mean", torch.zeros(4))

            def forward(self, x):
                self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
                return self.fc(x - self.mean)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                self.register_buffer("mean", torch.zeros(4))

            def forward(self, x):
                if self.training:
                    self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
                return self.fc(x - self.mean)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare the state before, between and after two passes."""
        ran = context.eval_pass
        norms = {event.path for event in ran.seen.training_norms}
        for name, what in changes(ran):
            owner, _, attribute = name.rpartition(".")
            if owner in norms:
                continue  # MC302 says why
            try:
                module = find_module(ran.model, owner)
            except KeyError:
                module = ran.model
            severity = None
            if name in ran.after.graphs and fails_the_second_time(context):
                severity = Severity.ERROR
                what += ", and its graph with them: the second backward() raises"
            yield self.found(name, what, place=assignment(module, attribute), severity=severity)
        caches = settled(ran)
        if caches:
            more = f", like {len(caches) - 1} more" if len(caches) > 1 else ""
            yield self.found(
                caches[0],
                f"this buffer is filled by the first eval pass{more}, and then stays",
                severity=Severity.INFO,
                fix="If it can be computed in __init__, the state_dict has it from the start.",
            )

"""A forward that is called past its module (MC106)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import Finding
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context


class DirectForward(Rule):
    """A child whose forward is called directly."""

    id = "MC106"
    title = "forward is called directly"
    needs = "values"
    why = (
        "Hooks do not run: those of quantisation, pruning, FSDP, of profilers and of this tool, "
        "and those that move a layer to its device."
    )
    fix = "Call the module: self.layer(x), not self.layer.forward(x)."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                return self.fc.forward(x)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                return self.fc(x)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at the forwards that ran without their module being called."""
        told: set[str] = set()
        for event in context.eval_pass.seen.direct_calls:
            if event.path in told:
                continue
            told.add(event.path)
            caller = f"'{event.detail}' ({event.layer})" if event.detail else event.layer
            yield self.found(
                event.path,
                f"{caller} calls the forward of this {event.op} past its hooks",
                fix=f"Write self.{event.path.rpartition('.')[2]}(...), without .forward.",
                place=event.place,
            )

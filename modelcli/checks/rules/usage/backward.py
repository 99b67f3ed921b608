"""A backward pass that raises (MC206)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.errors import describe

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.probe.seen import Event, Seen


class BackwardRaises(Rule):
    """The backward pass raises."""

    id = "MC206"
    title = "the backward pass raises"
    severity = Severity.ERROR
    needs = "values"
    why = "The model answers and cannot be trained: the first loss.backward() stops with an error."
    fix = "Keep no graph from one call to the next, and let autograd know of every function."
    justified = (
        "An operation in place on what the backward pass needs is an error; whatever else "
        "autograd cannot go back through is a warning: the model may only be meant to answer."
    )
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(4, 4)
                self.fc2 = nn.Linear(4, 2)

            def forward(self, x):
                gate = torch.sigmoid(self.fc1(x))
                gate *= 2  # the gradient of sigmoid needs what it has made
                return self.fc2(gate)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(4, 4)
                self.fc2 = nn.Linear(4, 2)

            def forward(self, x):
                gate = torch.sigmoid(self.fc1(x))
                gate = gate * 2
                return self.fc2(gate)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at the pass in train mode, with no gradient asked at the input."""
        ran = context.train_pass
        error = ran.backward_error
        if error is None:
            return
        if "modified by an inplace operation" not in str(error):
            yield self.found("", f"backward() raises {describe(error)}", severity=Severity.WARNING)
            return
        write = _writer(ran.seen, str(error))
        if write is None:
            yield self.found("", f"an operation in place breaks it: {describe(error)}")
            return
        where = f" in '{write.path}'" if write.path else ""
        yield self.found(
            write.path,
            f"backward() raises: {write.op}{where} works in place on values that the gradient of "
            "another function needs",
            fix="Write x = x * 2 instead of x *= 2, and leave inplace=True off there.",
            place=write.place,
        )


def _writer(seen: Seen, message: str) -> Event | None:
    """Return the last write in place that left the shape and version which the message names."""
    found = re.search(r"\[\S+ (\[.*?\])\].* is at version (\d+)", message)
    if found is None:
        return None
    named = [write for write in seen.writes if write.detail == " ".join(found.groups())]
    return named[-1] if named else None

"""A weight that is made inside forward (MC205)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.tracing.vocabulary import Trait, has

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context


class FreshWeight(Rule):
    """A parameter created inside forward."""

    id = "MC205"
    title = "a weight made inside forward"
    severity = Severity.ERROR
    needs = "values"
    why = (
        "The weight is another one at each call: it is never trained, never saved, and the output "
        "is random."
    )
    fix = "Make it in __init__: self.weight = nn.Parameter(torch.randn(...)), or nn.Linear(...)."
    input = "2x10"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(10, 5)

            def forward(self, x):
                weight = torch.randn(3, 5)
                return F.linear(torch.relu(self.fc(x)), weight)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(10, 5)
                self.weight = nn.Parameter(torch.randn(3, 5))

            def forward(self, x):
                return F.linear(torch.relu(self.fc(x)), self.weight)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for weights that were made from random numbers during the pass."""
        told: set[tuple[str, str]] = set()
        for event in context.eval_pass.seen.fresh_weights:
            key = (event.path, event.op)
            if key in told:
                continue
            told.add(key)
            where = f"'{event.path}'" if event.path else "forward"
            yield self.found(
                event.path,
                f"{event.op} in {where} takes a weight of {event.detail} that was made during the "
                "call: no parameter, another one each time",
                severity=None if _is_a_layers(event.op) else Severity.WARNING,
                place=event.place,
            )


def _is_a_layers(op: str) -> bool:
    """Tell a layer's function from a plain product, whose random factor may be a projection."""
    return has(op, Trait.CONVOLUTION | Trait.DENSE) and not has(op, Trait.LOOKS_EVERYWHERE)

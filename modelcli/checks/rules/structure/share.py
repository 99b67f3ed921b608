"""One layer that holds nearly all parameters (MC605)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.observe.locate import place_of
from modelcli.checks.record import Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.tracing.record import Node


class OneLayerHoldsAll(Rule):
    """A layer that holds over 90 % of the parameters."""

    id = "MC605"
    title = "one layer holds nearly all parameters"
    severity = Severity.INFO
    needs = "pass"
    why = "Memory, checkpoints and overfitting are this one layer's."
    fix = "Make it narrower, or factorise it."
    input = "2x8x16x16"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(8, 16, 3, padding=1)
                self.fc = nn.Linear(16 * 16 * 16, 64)

            def forward(self, x):
                return self.fc(torch.relu(self.conv(x)).flatten(1))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(8, 16, 3, padding=1)
                self.fc = nn.Linear(16, 64)

            def forward(self, x):
                return self.fc(torch.relu(self.conv(x)).mean((2, 3)))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare every layer's own parameters with the total."""
        total = context.ran.totals.params
        layers = [node for node in context.ran.nodes if node.own_params]
        if total < 10_000 or len(layers) < 2:
            return
        largest = max(layers, key=lambda node: node.own_params)
        share = largest.own_params / total
        if share > 0.9:
            yield self.found(
                largest.path,
                f"'{largest.path}' ({largest.type}) holds {largest.own_params:,} of {total:,} "
                f"parameters, {100 * share:.1f} %",
                fix=_how_to_shrink(largest),
                place=place_of(context.built, largest.path),
            )


def _how_to_shrink(node: Node) -> str:
    if "Embedding" in node.type:
        return "A smaller vocabulary, or an embedding of fewer features and a Linear behind it."
    if node.type == "Linear":
        return (
            "Pool before it (nn.AdaptiveAvgPool2d(1)) if it follows a flattened map; or split it."
        )
    return OneLayerHoldsAll.fix

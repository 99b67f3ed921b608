"""ReLU units that are dead at initialisation (MC505)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import Finding
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context


_DEAD_SHARE = 0.9


class DeadUnits(Rule):
    """Dead ReLU units at initialisation."""

    id = "MC505"
    title = "dead ReLU units at initialisation"
    needs = "values"
    why = "A unit that is zero for every sample gets no gradient and never comes back."
    fix = "Start biases at zero and weights around zero; normalise the input; or use LeakyReLU."
    input = "32x16"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(16, 32)
                self.fc2 = nn.Linear(32, 2)
                nn.init.constant_(self.fc1.bias, -10)

            def forward(self, x):
                return self.fc2(torch.relu(self.fc1(x)))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(16, 32)
                self.fc2 = nn.Linear(32, 2)
                nn.init.zeros_(self.fc1.bias)

            def forward(self, x):
                return self.fc2(torch.relu(self.fc1(x)))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Count the units of every ReLU that are zero for all samples and places."""
        ran = context.train_pass
        told: set[str] = set()
        for seen in ran.seen.rectified:
            few = seen.units < 4 or seen.values < (64 if seen.units < 8 else 8)
            if few or seen.dead < _DEAD_SHARE * seen.units or seen.path in told:
                continue
            told.add(seen.path)
            where = f"'{seen.path}'" if seen.path else "forward"
            yield self.found(
                seen.path,
                f"{seen.dead} of {seen.units} units of {seen.op} in {where} are zero for all of "
                f"{seen.values} values",
                place=seen.place,
            )

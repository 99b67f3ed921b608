"""A layer or parameter that no pass uses (MC201)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import Finding
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
from modelcli.checks.observe.locate import place_of
from modelcli.checks.observe.parameters import count_params, group_names, never_run, show_params


class NeverRun(Rule):
    """Declared and never run."""

    id = "MC201"
    title = "declared and never run"
    needs = "pass"
    why = (
        "It takes memory and a place in checkpoints, is never trained, and DistributedDataParallel "
        "stops at the second step because its gradient never comes."
    )
    fix = "Remove it, use it in forward, or give DDP find_unused_parameters=True."
    justified = (
        "A layer that the code names, and that runs only with an input that was not given, or in "
        "a body of cond or while_loop, is not reported."
    )
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(4, 4)
                self.fc2 = nn.Linear(4, 2)
                self.norm = nn.LayerNorm(4)  # and forgotten

            def forward(self, x):
                return self.fc2(torch.relu(self.fc1(x)))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(4, 4)
                self.fc2 = nn.Linear(4, 2)
                self.norm = nn.LayerNorm(4)

            def forward(self, x):
                return self.fc2(self.norm(torch.relu(self.fc1(x))))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare what is declared with what the passes used."""
        from modelcli.checks.observe.doubt import is_mentioned, may_run_elsewhere

        idle = never_run(context)
        model = context.built
        doubt = may_run_elsewhere(context) if idle else ""
        for path, names in group_names(model, idle).items():
            if doubt and is_mentioned(model, path):
                continue
            yield self.found(
                path,
                f"{show_params(count_params(model, names))} that no pass used: never trained, "
                "no gradient",
                place=place_of(model, path),
            )

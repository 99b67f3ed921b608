"""Parameters that are frozen (MC204)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
from modelcli.checks.observe.adapters import has_adapters
from modelcli.checks.observe.locate import place_of
from modelcli.checks.observe.parameters import count_params, group_names, show_params
from modelcli.modules import named_parameters

_EXCUSES = ("ema", "teacher", "frozen", "momentum", "target", "pos_embed", "position", "fixed")


class Frozen(Rule):
    """Frozen although nothing suggests it."""

    id = "MC204"
    title = "frozen"
    severity = Severity.INFO
    why = "requires_grad is False from the start: an optimiser leaves it as it is."
    fix = "If it is to be trained: parameter.requires_grad_(True)."
    justified = (
        "The base of a model that is tuned through adapters (LoRA and its kin) is frozen on "
        "purpose: nothing is said where trained low-rank matrices or adapters sit beside it."
    )
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(4, 4).requires_grad_(False)
                self.fc2 = nn.Linear(4, 2)

            def forward(self, x):
                return self.fc2(torch.relu(self.fc1(x)))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(4, 4)
                self.fc2 = nn.Linear(4, 2)

            def forward(self, x):
                return self.fc2(torch.relu(self.fc1(x)))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at requires_grad, and at the names, which may say that it is meant."""
        model = context.built
        if has_adapters(model):
            raise CannotRun("what is frozen is the base of adapters that are trained")
        frozen = [
            name
            for name, parameter in named_parameters(model)
            if not parameter.requires_grad
            and parameter.is_floating_point()
            and not any(word in name.lower() for word in _EXCUSES)
        ]
        for path, names in group_names(model, frozen).items():
            yield self.found(
                path,
                f"{show_params(count_params(model, names))} with requires_grad=False",
                place=place_of(model, path),
            )

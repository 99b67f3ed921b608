"""A state_dict that does not hold all state (MC104)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.changes import changes, settled
from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context

from modelcli.checks.rules.registration.attributes import _is_module
from modelcli.modules import named_buffers, parameters_of, switch_mode


class StateIsNotAll(Rule):
    """A state_dict round trip changes the output."""

    id = "MC104"
    title = "the state_dict does not hold all state"
    severity = Severity.ERROR
    needs = "values"
    why = "Weights that were saved and loaded give another output: a checkpoint is not enough."
    fix = "Make what is missing a parameter, or a buffer with persistent=True."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                self.register_buffer("mix", torch.randn(4, 4), persistent=False)

            def forward(self, x):
                return self.fc(x @ self.mix)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                self.register_buffer("mix", torch.randn(4, 4))

            def forward(self, x):
                return self.fc(x @ self.mix)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Load the state of one instance into another, and compare their outputs."""
        import random

        from torch import nn

        from modelcli.checks.observe.passes import differ, run_plain

        if context.source.instance is not None:
            raise CannotRun("an instance cannot be built a second time; name its class")
        seen = context.eval_pass
        if seen.seen.draws or seen.seen.foreign_draw or differ(seen.outputs, seen.repeated):
            raise CannotRun("two passes of one instance differ already (MC301)")
        random.seed(1)
        _reseed_numpy()
        second = switch_mode(context.fresh(seed=1), False)
        try:
            nn.Module.load_state_dict(second, nn.Module.state_dict(seen.model))
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines()]
            yield self.found("", f"its own state_dict does not load: {' '.join(lines[1:2])}")
            return
        out = [seen.outputs, run_plain(second, seen.inputs)]
        if differ(*out) and not list(changes(seen)) and not settled(seen):  # which MC304 reports
            yield self._report(context, seen.model, second, out)

    def _report(self, context: Context, first: Any, second: Any, out: list[Any]) -> Finding:
        path, what = _what_differs(context, first, second)
        change = max(
            (float((a - b).abs().max()) for a, b in zip(*out, strict=True) if a.shape == b.shape),
            default=float("nan"),
        )
        return self.found(
            path,
            f"a fresh instance with the same state_dict gives another output (by {change:.2g}): "
            f"{what}",
        )


def _reseed_numpy() -> None:
    import sys

    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(1)


def _what_differs(context: Context, first: Any, second: Any) -> tuple[str, str]:
    """Return the path of what the two instances do not share, and how to call it."""
    import torch

    from modelcli.checks.observe.attributes import find_hidden

    buffers = dict(named_buffers(second))
    for name, buffer in named_buffers(first):
        if name in buffers and not torch.equal(buffer, buffers[name]):
            return name, "this buffer is not persistent and has random values"
    for a, b in zip(find_hidden(first), find_hidden(second), strict=False):
        if _is_module(a.value):
            pairs = list(zip(parameters_of(a.value), parameters_of(b.value), strict=False))
            if any(not torch.equal(x, y) for x, y in pairs):
                return a.holder, "its layers are not registered (MC101)"
        elif a.value.shape != b.value.shape or not torch.equal(a.value, b.value):
            return a.holder, "this tensor is a plain attribute with random values"
    return "", "something that is neither parameter nor buffer differs between instances"

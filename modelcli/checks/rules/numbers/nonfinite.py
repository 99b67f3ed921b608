"""NaN and infinity at initialisation (MC501)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.probe.seen import Seen
from modelcli.checks.observe.locate import place_of
from modelcli.modules import named_parameters, switch_mode


class NotFinite(Rule):
    """NaN or infinity at initialisation."""

    id = "MC501"
    title = "NaN or infinity at initialisation"
    severity = Severity.ERROR
    needs = "values"
    why = "The first loss is NaN, and everything after it."
    fix = "Keep logarithms, roots and divisions off zero: torch.log(x + 1e-6), clamp_min(x, 1e-6)."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                hidden = torch.relu(self.fc(x))
                return torch.log(hidden) * hidden  # log(0) * 0
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                hidden = torch.relu(self.fc(x))
                return torch.log(hidden + 1e-6) * hidden
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at outputs and gradients; if they are not finite, for the first that is not."""
        ran = context.eval_pass
        finite = all(_is_finite(tensor) for tensor in ran.outputs)
        if finite and ran.gradients_finite:
            return
        if not finite and _is_finite_without_masks(context):
            raise CannotRun("it is finite with the masks the other way round: ours were a guess")
        seen, repeats = _search(context)
        if not finite:
            yield self._report(seen, repeats)
            return
        bad = next(
            name
            for name, parameter in reversed(list(named_parameters(ran.model)))
            if parameter.grad is not None and not _is_finite(parameter.grad)
        )
        yield self.found(
            bad,
            "outputs are finite, the gradient is not: a root or a norm at zero behind it",
            place=place_of(ran.model, bad),
        )

    def _report(self, seen: Seen, repeats: bool) -> Finding:
        event = seen.nonfinite
        severity = None if repeats else Severity.INFO
        when = "" if repeats else " for inputs below zero"
        if event is None:
            return self.found("", f"the output is not finite{when}", severity=severity)
        where = f"'{event.path}'" if event.path else "forward"
        return self.found(
            event.path,
            f"{event.op} in {where} is the first to make {event.detail}{when}",
            severity=severity,
            place=event.place,
        )


def _is_finite(tensor: Any) -> bool:
    import torch

    return bool(torch.isfinite(tensor).all())


def _search(context: Context) -> tuple[Seen, bool]:
    """Run again, function by function; tell whether inputs from [0, 1) fail, too."""
    import torch

    from modelcli.checks.observe.passes import names_of
    from modelcli.checks.observe.probe.watch import watch_pass
    from modelcli.checks.observe.values import output_tensors

    model = switch_mode(context.fresh(), False)
    batch = context.eval_pass.batch
    for positive in (True, False):
        inputs = context.filled(model, batch, positive=positive)
        with torch.no_grad():
            seen = watch_pass(model, inputs, known=names_of(model), nonfinite=True)
        outputs = output_tensors(seen.output)
        if positive and not all(_is_finite(tensor) for tensor in outputs):
            return seen, True
    return seen, not context.eval_pass.gradients_finite and all(map(_is_finite, outputs))


def _is_finite_without_masks(context: Context) -> bool:
    """Tell whether masks of the opposite value make the output finite: some mean what is hidden."""
    import torch

    from modelcli.checks.observe.foreign import ModelRaised
    from modelcli.checks.observe.passes import run_plain
    from modelcli.checks.observe.values import input_tensors, map_inputs

    inputs = context.eval_pass.inputs
    if not any(tensor.dtype is torch.bool for tensor in input_tensors(inputs)):
        return False
    turned = map_inputs(inputs, lambda _, t: ~t if t.dtype is torch.bool else t)
    try:
        outputs = run_plain(switch_mode(context.fresh(), False), turned)
    except ModelRaised:
        return False
    return bool(outputs) and all(_is_finite(tensor) for tensor in outputs)

"""Run a model once and watch it, module by module and function by function."""

from __future__ import annotations

import random
import sys
from typing import Any

from torch import nn

from modelcli.checks.observe.foreign import ModelRaised, call_model
from modelcli.checks.observe.probe.functions import FunctionCalls
from modelcli.checks.observe.probe.modules import ModuleCalls
from modelcli.checks.observe.probe.numbers import Numbers
from modelcli.checks.observe.probe.scope import Scope
from modelcli.checks.observe.probe.seen import Seen
from modelcli.loading.example import ExampleInputs


def watch_pass(
    model: nn.Module,
    inputs: ExampleInputs,
    *,
    known: dict[int, str],
    numbers: bool = False,
    nonfinite: bool = False,
) -> Seen:
    """Run a private model once; what its forward raises ends up in the result.

    Args:
        model: in the mode in which it shall run.
        inputs: with values; they may be changed in place.
        known: names of every module by id, hidden ones too.
        numbers: also measure spreads, gradients and dead units.
        nonfinite: also look for the first function that makes a NaN or an infinity.
    """
    seen = Seen()
    scope = Scope(model, known)
    look = Numbers(scope, seen)
    also = [*([look.measure] if numbers else []), *([look.find_nonfinite] if nonfinite else [])]
    before = _foreign_states()
    modules = ModuleCalls(model, scope, seen)
    with modules.watched(), FunctionCalls(model, inputs, scope, seen, also):
        try:
            seen.output = call_model(model, inputs)
        except ModelRaised as raised:
            seen.error = raised.error
    seen.foreign_draw = _foreign_change(before)
    return seen


def _foreign_states() -> tuple[Any, Any]:
    numpy_random = sys.modules.get("numpy.random")
    state = numpy_random.get_state() if numpy_random is not None else None
    return random.getstate(), state


def _foreign_change(before: tuple[Any, Any]) -> str:
    python, numpy_state = _foreign_states()
    if python != before[0]:
        return "Python's random"
    if before[1] is not None and numpy_state is not None:
        same = numpy_state[2] == before[1][2] and bool((numpy_state[1] == before[1][1]).all())
        return "" if same else "numpy.random"
    return ""

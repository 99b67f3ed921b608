"""Parameters whose gradient never comes, or is zero (MC202, MC203)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.errors import describe

if TYPE_CHECKING:
    from torch import nn

    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.probe.seen import Event, Seen
    from modelcli.loading.example import ExampleInputs
from modelcli.checks.observe.locate import place_of
from modelcli.checks.observe.parameters import (
    count_params,
    group_names,
    is_followed,
    never_run,
    show_params,
)
from modelcli.modules import named_parameters, parameters_of, switch_mode


class NoGradient(Rule):
    """Runs but gets no gradient."""

    id = "MC202"
    title = "runs, but gets no gradient"
    severity = Severity.ERROR
    needs = "values"
    why = "The layer takes part in the forward pass and never learns: nothing says so in training."
    fix = "Remove the detach(), .data, no_grad, argmax or integer cast on its way to the output."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(4, 4)
                self.fc2 = nn.Linear(4, 2)

            def forward(self, x):
                hidden = torch.relu(self.fc1(x)).detach()
                return self.fc2(hidden)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(4, 4)
                self.fc2 = nn.Linear(4, 2)

            def forward(self, x):
                hidden = torch.relu(self.fc1(x))
                return self.fc2(hidden)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for gradients that are None after a backward pass from every output.

        The input takes none here, as in training: re-entrant checkpointing then cuts off its own.
        """
        model = _as_in_training(context)
        lacking = _lacking(model)
        if lacking:
            lacking -= never_run(context)
        if lacking:
            lacking -= self._trained(context)
        lacking = {name for name in lacking if not is_followed(name)}
        ids_only = not context.eval_pass.outputs
        for path, names in group_names(model, lacking).items():
            yield self._report(context, path, names, ids_only=ids_only)

    def _trained(self, context: Context) -> set[str]:
        """Return what gets a gradient in train mode: heads that only run there."""
        try:
            model = context.train_pass.model
        except CannotRun:
            return set()
        return {name for name, parameter in named_parameters(model) if parameter.grad is not None}

    def _report(self, context: Context, path: str, names: list[str], *, ids_only: bool) -> Finding:
        ran = context.eval_pass
        cut = _likely_cut(ran.seen, path)
        count = count_params(ran.model, names)
        message = f"no gradient reaches {show_params(count)} that the forward uses"
        fix = None
        if cut is not None:
            how = {"data": ".data", "no_grad": "torch.no_grad()"}.get(cut.op, f"{cut.op}()")
            if cut.detail == "no_grad":
                how = f"torch.no_grad() around {cut.op}()"
            elif cut.detail == "checkpoint":
                how = "re-entrant checkpoint() of an input that needs no gradient"
            message += f": {how} cuts it off"
            message += f" in '{cut.path}'" if cut.path else ""
            fix = f"Remove the {how} on the way from '{path}' to the output."
            if cut.op in ("argmax", "argmin", "long", "int", "round", "to"):
                fix = f"{how} has no gradient: use a soft version (softmax, straight-through)."
            elif cut.detail == "checkpoint":
                fix = "checkpoint(..., use_reentrant=False)."
        place = cut.place if cut is not None else place_of(ran.model, path)
        severity = Severity.WARNING if ids_only else None  # a model may be made to answer in ids
        return self.found(path, message, fix=fix, place=place, severity=severity)


def _as_in_training(context: Context) -> nn.Module:
    """Return a model after a backward pass for which no gradient was asked at the input.

    Raises:
        CannotRun: the backward pass raised.
    """
    from modelcli.checks.observe.passes import run_eval

    ran = context.eval_pass
    if not ran.followed:
        if ran.backward_error is not None:
            raise CannotRun("the backward pass raises (MC206)")
        return ran.model
    try:
        trained = context.train_pass
    except CannotRun:
        return ran.model
    if trained.backward_error is not None or not _lacking(trained.model) - _lacking(ran.model):
        return ran.model
    model = context.fresh()
    inputs = context.filled(model, ran.batch)
    return run_eval(model, inputs, batch=ran.batch, follow=False).model


def _lacking(model: nn.Module) -> set[str]:
    """Return the trainable parameters that a backward pass left without a gradient."""
    return {
        name
        for name, parameter in named_parameters(model)
        if parameter.requires_grad and parameter.grad is None and parameter.numel()
    }


def _likely_cut(seen: Seen, path: str) -> Event | None:
    """Return the cut that is nearest: in the module itself or the closest one around it."""
    around = path
    while True:
        for cut in seen.cuts:
            if cut.path == around or cut.path.startswith(around + "."):
                return cut
        if not around:
            return seen.cuts[0] if seen.cuts else None
        around = around.rpartition(".")[0]


class ZeroGradient(Rule):
    """The gradient is identically zero at initialisation."""

    id = "MC203"
    title = "the gradient is identically zero"
    needs = "values"
    why = "The first step changes nothing here, nor does any other: the layer is never trained."
    fix = "Look for dead units, round() or sign(), a softmax over one element, a factor of zero."
    justified = (
        "A gradient that is zero only because a scale behind it starts at zero (zero-initialised "
        "residual branches, LayerScale) is no fault: the rule tries again with those scales moved "
        "and reports what stays zero."
    )
    input = "8x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.gate = nn.Linear(4, 1)
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                gate = torch.softmax(self.gate(x), dim=1)  # one element: always 1
                return self.fc(x) * gate
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.gate = nn.Linear(4, 1)
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                gate = torch.sigmoid(self.gate(x))
                return self.fc(x) * gate
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for gradients of zeros, and try again with zero-initialised scales moved."""
        ran = context.train_pass
        if ran.seen.error is not None:
            raise CannotRun("the pass in train mode raised (MC303)")
        if ran.backward_error is not None or context.eval_pass.backward_error is not None:
            raise CannotRun("the backward pass raises (MC206)")
        zero = _zero_gradients(ran.model)
        if zero:  # in train mode, stochastic depth drops whole branches now and then
            zero &= _zero_gradients(context.eval_pass.model)
        if zero:
            zero &= _zero_after_moving(context)
        if zero and context.larger is not None:
            zero &= _zero_in_a_larger_input(context)
        for path, names in group_names(ran.model, zero).items():
            count = count_params(ran.model, names)
            yield self.found(
                path,
                f"{show_params(count)} with a gradient of exactly zero, for {ran.batch} samples "
                "and two initialisations",
                place=place_of(ran.model, path),
            )


def _zero_gradients(model: nn.Module) -> set[str]:
    return {
        name
        for name, parameter in named_parameters(model)
        if parameter.grad is not None
        and parameter.numel()
        and not bool((parameter.grad != 0).any())
    }


def _zero_after_moving(context: Context) -> set[str]:
    """Return what stays zero in another instance, none of whose parameters is zero."""
    import torch

    from modelcli.checks.observe.values import copy_inputs

    ran = context.train_pass
    other = switch_mode(context.fresh(seed=1), True)
    with torch.no_grad():
        for parameter in parameters_of(other):
            if parameter.is_floating_point() and not bool((parameter != 0).any()):
                parameter.normal_(0, 0.1)
            elif parameter.is_floating_point() and float(parameter.abs().max()) < 1e-3:
                parameter.add_(0.1)  # a scale that starts at almost nothing
    return _zero_for(other, copy_inputs(ran.inputs))


def _zero_in_a_larger_input(context: Context) -> set[str]:
    """Return what stays zero in an input of twice the size that we guessed."""
    model = switch_mode(context.fresh(seed=1), True)
    inputs = context.filled_larger(model, 2 if context.has_batch else context.batch, seed=4)
    assert inputs is not None
    return _zero_for(model, inputs)


def _zero_for(model: nn.Module, inputs: ExampleInputs) -> set[str]:
    """Return the parameters to which inputs send back zeros only, or nothing.

    Raises:
        CannotRun: the model raised.
    """
    import torch

    from modelcli.checks.observe.flow import send_back
    from modelcli.checks.observe.foreign import ModelRaised, call_model
    from modelcli.checks.observe.passes import gradients

    try:
        with torch.enable_grad():
            error: Exception | None = send_back(call_model(model, inputs))
    except ModelRaised as raised:
        error = raised.error
    if error is not None:
        raise CannotRun(f"another pass raised {describe(error)}")
    return {
        name
        for name, gradient in gradients(model).items()
        if gradient is None or not bool((gradient != 0).any())
    }

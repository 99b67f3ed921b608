"""MC2xx: parameters that do not take part in training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.locate import assignment
from modelcli.checks.record import CannotRun, Finding, Place, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from torch import nn

    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.probe import Event, Seen

_EXCUSES = ("ema", "teacher", "frozen", "momentum", "target", "pos_embed", "position", "fixed")


def group_names(model: nn.Module, names: Iterable[str]) -> dict[str, list[str]]:
    """Group parameters under the highest modules all of whose parameters are among them."""
    wanted = set(names)
    every = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    found: dict[str, list[str]] = {}
    for name in sorted(wanted, key=every.index):
        top = name
        parts = name.split(".")
        for length in range(len(parts) - 1, 0, -1):
            prefix = ".".join(parts[:length]) + "."
            if all(other in wanted for other in every if other.startswith(prefix)):
                top = prefix[:-1]
        found.setdefault(top, []).append(name)
    return found


def count_params(model: nn.Module, names: Iterable[str]) -> int:
    """Return the number of elements of some parameters."""
    table = dict(model.named_parameters(remove_duplicate=False))
    return sum(table[name].numel() for name in names)


def show_params(count: int) -> str:
    """Write a number of parameters with its noun."""
    return f"{count:,} parameter" if count == 1 else f"{count:,} parameters"


def place_of(model: nn.Module, path: str) -> Place | None:
    """Return the line that sets a module or parameter, looking from its owner upwards."""
    parts = path.split(".")
    for length in range(len(parts) - 1, -1, -1):
        try:
            owner = model.get_submodule(".".join(parts[:length]))
        except AttributeError:
            continue
        place = assignment(owner, parts[length])
        if place is not None:
            return place
    return None


def never_run(context: Context) -> set[str]:
    """Return the names of trainable parameters that no pass in either mode used."""
    kept: set[str] | None = context.scratch.get("never run")
    if kept is not None:
        return kept
    idle = _idle_in(context.ran)
    if idle:
        idle &= _idle_in(context.train_trace)
    if idle:
        idle -= _used_with_values(context)
    context.scratch["never run"] = idle
    return idle


def _idle_in(trace: Any) -> set[str]:
    used = {t.tied_to or t.name for t in trace.tensors if t.executed}
    return {
        t.name
        for t in trace.tensors
        if t.kind == "parameter" and t.trainable and (t.tied_to or t.name) not in used and t.numel
    }


def _used_with_values(context: Context) -> set[str]:
    """Return what a pass with values used: custom functions hide from other observers."""
    used: set[str] = set()
    for which in ("eval_pass", "train_pass"):
        try:
            ran = getattr(context, which)
        except CannotRun:
            continue
        for name, parameter in ran.model.named_parameters(remove_duplicate=False):
            if parameter.grad is not None or id(parameter) in ran.seen.used:
                used.add(name)
    return used


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
        idle = never_run(context)
        model = context.built
        for path, names in group_names(model, idle).items():
            yield self.found(
                path,
                f"{show_params(count_params(model, names))} that no pass used: never trained, "
                "no gradient",
                place=place_of(model, path),
            )


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
        """Look for gradients that are None after a backward pass from every output."""
        ran = context.eval_pass
        lacking = {
            name
            for name, parameter in ran.model.named_parameters()
            if parameter.requires_grad and parameter.grad is None and parameter.numel()
        }
        lacking -= never_run(context)
        if lacking:
            lacking -= self._trained(context)
        groups = group_names(ran.model, lacking)
        for path, names in groups.items():
            yield self._report(context, path, names)

    def _trained(self, context: Context) -> set[str]:
        """Return what gets a gradient in train mode: heads that only run there."""
        try:
            model = context.train_pass.model
        except CannotRun:
            return set()
        return {name for name, parameter in model.named_parameters() if parameter.grad is not None}

    def _report(self, context: Context, path: str, names: list[str]) -> Finding:
        ran = context.eval_pass
        cut = _likely_cut(ran.seen, path)
        count = count_params(ran.model, names)
        message = f"no gradient reaches {show_params(count)} that the forward uses"
        fix = None
        if cut is not None:
            how = {"data": ".data", "no_grad": "torch.no_grad()"}.get(cut.op, f"{cut.op}()")
            if cut.detail == "no_grad":
                how = f"torch.no_grad() around {cut.op}()"
            message += f": {how} cuts it off"
            message += f" in '{cut.path}'" if cut.path else ""
            fix = f"Remove the {how} on the way from '{path}' to the output."
            if cut.op in ("argmax", "argmin", "long", "int", "round", "to"):
                fix = f"{how} has no gradient: use a soft version (softmax, straight-through)."
        place = cut.place if cut is not None else place_of(ran.model, path)
        return self.found(path, message, fix=fix, place=place)


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
        zero = _zero_gradients(ran.model)
        if zero:  # in train mode, stochastic depth drops whole branches now and then
            zero &= _zero_gradients(context.eval_pass.model)
        if zero:
            zero &= _zero_after_moving(context)
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
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
        and parameter.numel()
        and not bool((parameter.grad != 0).any())
    }


def _zero_after_moving(context: Context) -> set[str]:
    """Return what stays zero in another instance, none of whose parameters is zero."""
    import torch

    from modelcli.checks.observe.passes import gradients
    from modelcli.checks.observe.probe import sum_of_outputs
    from modelcli.checks.observe.values import map_tensors

    ran = context.train_pass
    other = context.fresh(seed=1).train()
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.is_floating_point() and not bool((parameter != 0).any()):
                parameter.normal_(0, 0.1)
            elif parameter.is_floating_point() and float(parameter.abs().max()) < 1e-3:
                parameter.add_(0.1)  # a scale that starts at almost nothing
    given = map_tensors(ran.inputs, torch.Tensor.clone)
    with torch.enable_grad():
        total = sum_of_outputs(other(*given.args, **given.kwargs))
        if total is not None:
            total.backward()  # type: ignore[no-untyped-call]
    return {
        name
        for name, gradient in gradients(other).items()
        if gradient is None or not bool((gradient != 0).any())
    }


class Frozen(Rule):
    """Frozen although nothing suggests it."""

    id = "MC204"
    title = "frozen"
    severity = Severity.INFO
    why = "requires_grad is False from the start: an optimiser leaves it as it is."
    fix = "If it is to be trained: parameter.requires_grad_(True)."
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
        frozen = [
            name
            for name, parameter in model.named_parameters()
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
                place=event.place,
            )


RULES = (NeverRun, NoGradient, ZeroGradient, Frozen, FreshWeight)

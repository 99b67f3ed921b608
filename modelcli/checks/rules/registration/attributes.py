"""Layers, parameters and tensors in plain attributes (MC101, MC102, MC103)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.locate import assignment, class_place
from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.errors import RunFailedError, UsageError
from modelcli.modules import buffers_of, find_module, modules_of, named_parameters, parameters_of

if TYPE_CHECKING:
    from modelcli.checks.observe.attributes import Hidden
    from modelcli.checks.observe.context import Context


class PlainContainer(Rule):
    """Layers, parameters or tensors with gradients in a plain container."""

    id = "MC101"
    title = "layers in a plain list, tuple or dict"
    severity = Severity.ERROR
    why = (
        "Only modules and parameters that are registered are trained by an optimiser, moved by "
        "to(), saved in the state_dict and switched by eval(). It runs, and learns nothing."
    )
    fix = "Use nn.ModuleList, nn.ModuleDict, nn.ParameterList or nn.ParameterDict."
    input = "2x20"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = [nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 20)]

            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                layers = [nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 20)]
                self.layers = nn.ModuleList(layers)

            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look through the plain attributes of every module."""
        groups: dict[str, list[Hidden]] = {}
        for hidden in context.hidden:
            if _is_trained(hidden.value) and (hidden.trail or _is_module(hidden.value)):
                groups.setdefault(hidden.holder, []).append(hidden)
        for holder, members in groups.items():
            yield self._report(holder, members)

    def _report(self, holder: str, members: list[Hidden]) -> Finding:
        first = members[0]
        container = type(getattr(first.owner, first.attribute, None)).__name__
        params = sum(_count(member.value) for member in members)
        kinds = ", ".join(sorted({type(member.value).__name__ for member in members}))
        registered = {"dict": "nn.ModuleDict", "set": "nn.ModuleList"}.get(
            container, "nn.ModuleList"
        )
        if not _is_module(first.value):
            registered = "nn.ParameterDict" if container == "dict" else "nn.ParameterList"
        name = first.attribute
        return self.found(
            holder,
            f"a plain {container} holds {len(members)} of {kinds} with {params:,} parameters "
            "that are not registered",
            fix=f"self.{name} = {registered}(...). If it is meant to stay out, ignore this rule.",
            severity=Severity.WARNING if all(_is_frozen(m.value) for m in members) else None,
            place=assignment(first.owner, name) or class_place(first.owner),
        )


def _is_frozen(value: Any) -> bool:
    """Tell whether a module has parameters, and none is trained: a fixed network that is kept."""
    if not _is_module(value):
        return False
    flags = [parameter.requires_grad for parameter in parameters_of(value)]
    return bool(flags) and not any(flags)


def _is_module(value: Any) -> bool:
    from torch import nn

    return isinstance(value, nn.Module)


def _is_trained(value: Any) -> bool:
    """Tell whether registering would matter: it has tensors, or switches with eval()."""
    from torch import nn

    if isinstance(value, nn.Module):
        switches = any(isinstance(m, nn.modules.dropout._DropoutNd) for m in modules_of(value))
        return switches or any(True for _ in parameters_of(value)) or any(
            True for _ in buffers_of(value)
        )  # fmt: skip
    return bool(value.requires_grad)


def _count(value: Any) -> int:
    from modelcli.identity import count_unique

    if _is_module(value):
        return count_unique(parameters_of(value))
    return int(value.numel())


class PlainTensor(Rule):
    """A tensor attribute that is no buffer."""

    id = "MC102"
    title = "a tensor attribute that is no buffer"
    why = "model.to(device) and half() leave it behind, and the state_dict does not hold it."
    fix = 'self.register_buffer("NAME", tensor), with persistent=False if it need not be saved.'
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                self.scale = torch.full((4,), 0.5)

            def forward(self, x):
                return self.fc(x) * self.scale
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                self.register_buffer("scale", torch.full((4,), 0.5))

            def forward(self, x):
                return self.fc(x) * self.scale
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for tensors in plain attributes that take no gradients."""
        for hidden in context.hidden:
            if _is_module(hidden.value) or hidden.value.requires_grad:
                continue
            if _is_derived(hidden) or not hidden.value.dim():
                continue  # a scalar goes with every device
            shape = "x".join(map(str, hidden.value.shape))
            yield self.found(
                hidden.name,
                f"a tensor of {shape} is a plain attribute: it stays behind on .to(device)",
                fix=f'self.register_buffer("{hidden.attribute}", ...), with persistent=False if '
                "it need not be saved.",
                place=assignment(hidden.owner, hidden.attribute),
            )


def _is_derived(hidden: Hidden) -> bool:
    """Tell whether a hook makes the tensor from parameters: weight norm, pruning and their kin."""
    table = hidden.owner._parameters
    return any(f"{hidden.attribute}{end}" in table for end in ("_g", "_v", "_orig"))


class NotALeaf(Rule):
    """A parameter that was replaced by a tensor."""

    id = "MC103"
    title = "a parameter that is a tensor, not a parameter"
    severity = Severity.ERROR
    why = (
        "An operation on a parameter (to(), a product) gives a plain tensor: it is not registered, "
        "and no optimiser trains it."
    )
    fix = "Apply the operation first, and wrap the result: nn.Parameter(torch.randn(4, 4) * 0.1)."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.randn(4, 4)) * 0.1

            def forward(self, x):
                return x @ self.weight
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.randn(4, 4) * 0.1)

            def forward(self, x):
                return x @ self.weight
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for attributes that require gradients and are no parameters."""
        for hidden in context.hidden:
            value = hidden.value
            if _is_module(value) or hidden.trail or not value.requires_grad or _is_derived(hidden):
                continue
            if not value.is_leaf and _is_made_anew(context, hidden):
                continue
            what = (
                "a leaf tensor with requires_grad, but no nn.Parameter"
                if value.is_leaf
                else "the result of an operation on a parameter, no parameter itself"
            )
            yield self.found(
                hidden.name,
                f"{what}: it is in no optimiser and no state_dict",
                place=assignment(hidden.owner, hidden.attribute),
            )
        for name, parameter in named_parameters(context.built):
            if not parameter.is_leaf:
                yield self.found(name, "registered, but no leaf: it never gets a .grad")


def _is_made_anew(context: Context, hidden: Hidden) -> bool:
    """Tell whether every pass computes the tensor again, so that it is only kept to be seen."""
    from modelcli.checks.observe.foreign import ModelRaised
    from modelcli.checks.observe.passes import run_quietly

    try:
        model = context.plain
        owner = find_module(model, hidden.path)
        before = getattr(owner, hidden.attribute, None)
        run_quietly(model, context.filled(model, context.batch))
    except (CannotRun, ModelRaised, RunFailedError, UsageError, KeyError):
        return False
    return before is not None and getattr(owner, hidden.attribute, None) is not before

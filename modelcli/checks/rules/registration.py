"""MC1xx: what torch.nn does not know of is not trained, moved or saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.locate import assignment, class_place
from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example

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
            place=assignment(first.owner, name) or class_place(first.owner),
        )


def _is_module(value: Any) -> bool:
    from torch import nn

    return isinstance(value, nn.Module)


def _is_trained(value: Any) -> bool:
    """Tell whether registering would matter: it has tensors, or switches with eval()."""
    from torch import nn

    if isinstance(value, nn.Module):
        switches = any(isinstance(m, nn.modules.dropout._DropoutNd) for m in value.modules())
        return switches or any(True for _ in value.parameters()) or any(
            True for _ in value.buffers()
        )  # fmt: skip
    return bool(value.requires_grad)


def _count(value: Any) -> int:
    if _is_module(value):
        return sum(parameter.numel() for parameter in value.parameters())
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
        for name, parameter in context.built.named_parameters():
            if not parameter.is_leaf:
                yield self.found(name, "registered, but no leaf: it never gets a .grad")


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

        from modelcli.checks.observe.passes import differ, run_plain
        from modelcli.checks.rules.modes import changes, settled

        if context.source.instance is not None:
            raise CannotRun("an instance cannot be built a second time; name its class")
        seen = context.eval_pass
        if seen.seen.draws or seen.seen.foreign_draw or differ(seen.outputs, seen.repeated):
            raise CannotRun("two passes of one instance differ already (MC301)")
        random.seed(1)
        _reseed_numpy()
        second = context.fresh(seed=1).eval()
        try:
            second.load_state_dict(seen.model.state_dict())
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

    buffers = dict(second.named_buffers())
    for name, buffer in first.named_buffers():
        if name in buffers and not torch.equal(buffer, buffers[name]):
            return name, "this buffer is not persistent and has random values"
    for a, b in zip(find_hidden(first), find_hidden(second), strict=False):
        if _is_module(a.value):
            pairs = list(zip(a.value.parameters(), b.value.parameters(), strict=False))
            if any(not torch.equal(x, y) for x, y in pairs):
                return a.holder, "its layers are not registered (MC101)"
        elif a.value.shape != b.value.shape or not torch.equal(a.value, b.value):
            return a.holder, "this tensor is a plain attribute with random values"
    return "", "something that is neither parameter nor buffer differs between instances"


class SeveralNames(Rule):
    """One module or tensor under several names."""

    id = "MC105"
    title = "one layer or tensor under several names"
    severity = Severity.INFO
    why = (
        "It is one tensor with one gradient, the sum over all its uses. That is what tied weights "
        "are for; a layer made once and used twice by mistake looks the same."
    )
    fix = "If the layers should differ, make each of its own, or copy.deepcopy."
    input = "3x2"
    wrong = example("""
        class Net(nn.Sequential):
            def __init__(self):
                first = nn.Linear(2, 2)
                super().__init__(first, nn.ReLU(), first)
    """)
    right = example("""
        class Net(nn.Sequential):
            def __init__(self):
                super().__init__(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Group names by module, then by tensor."""
        from modelcli.tracing.survey import find_ties, survey

        model = context.settled
        names: dict[int, list[str]] = {}
        modules: dict[int, Any] = {}
        for path, module in model.named_modules(remove_duplicate=False):
            names.setdefault(id(module), []).append(path)
            modules[id(module)] = module
        told: set[str] = set()
        for key, paths in names.items():
            if len(paths) > 1 and any(True for _ in modules[key].parameters()):
                told.update(f"{path}.{n}" for path in paths for n, _ in _names_in(modules[key]))
                if _parent_is_told(paths, names):
                    continue
                yield self._report(paths, type(modules[key]).__name__, "layer")
        for group in find_ties(survey(model)):
            rest = [name for name in group if name not in told]
            if rest:
                yield self._report(list(group), "one parameter", "tensor")

    def _report(self, names: list[str], what: str, kind: str) -> Finding:
        listed = " = ".join(f"'{name}'" for name in names[:4])
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        return self.found(
            names[0],
            f"{listed}{more} is one {kind} ({what}): its gradient is the sum over all its uses",
        )


def _names_in(module: Any) -> Iterator[tuple[str, Any]]:
    yield from module.named_parameters(remove_duplicate=False)


def _parent_is_told(paths: list[str], names: dict[int, list[str]]) -> bool:
    """Tell whether a layer has several names only because a module above it has."""
    parents = {path.rpartition(".")[0] for path in paths}
    return any(len(parents & set(group)) > 1 for group in names.values())


class DirectForward(Rule):
    """A child whose forward is called directly."""

    id = "MC106"
    title = "forward is called directly"
    needs = "values"
    why = (
        "Hooks do not run: those of quantisation, pruning, FSDP, of profilers and of this tool, "
        "and those that move a layer to its device."
    )
    fix = "Call the module: self.layer(x), not self.layer.forward(x)."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                return self.fc.forward(x)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                return self.fc(x)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at the forwards that ran without their module being called."""
        told: set[str] = set()
        for event in context.eval_pass.seen.direct_calls:
            if event.path in told:
                continue
            told.add(event.path)
            caller = f"'{event.detail}' ({event.layer})" if event.detail else event.layer
            yield self.found(
                event.path,
                f"{caller} calls the forward of this {event.op} past its hooks",
                fix=f"Write self.{event.path.rpartition('.')[2]}(...), without .forward.",
                place=event.place,
            )


RULES = (PlainContainer, PlainTensor, NotALeaf, StateIsNotAll, SeveralNames, DirectForward)

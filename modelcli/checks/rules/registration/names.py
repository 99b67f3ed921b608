"""One layer or tensor under several names (MC105)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.modules import named_modules, named_parameters, parameters_of

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context


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
        for path, module in named_modules(model, every_name=True):
            names.setdefault(id(module), []).append(path)
            modules[id(module)] = module
        told: set[str] = set()
        for key, paths in names.items():
            if len(paths) > 1 and any(True for _ in parameters_of(modules[key])):
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
    yield from named_parameters(module, every_name=True)


def _parent_is_told(paths: list[str], names: dict[int, list[str]]) -> bool:
    """Tell whether a layer has several names only because a module above it has."""
    parents = {path.rpartition(".")[0] for path in paths}
    return any(len(parents & set(group)) > 1 for group in names.values())

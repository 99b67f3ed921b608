"""The tree that a pass grows."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from modelcli.loading.types import Shape
from modelcli.modules import named_modules
from modelcli.tracing.operations import is_layer, type_name
from modelcli.tracing.record import Kind


class Branch:
    """A node while the pass runs: what was seen so far, of this node alone."""

    __slots__ = (
        "activation_bytes", "activations", "backward_flops", "calls", "children", "flops", "index",
        "input_shapes", "kind", "module", "op_rows", "other_flops", "output_bytes", "output_dtypes",
        "output_shapes", "parent", "path", "shared_with", "type", "uncounted",
    )  # fmt: skip

    def __init__(
        self, parent: Branch | None, path: str, kind: Kind, type: str, module: nn.Module | None
    ) -> None:
        self.parent = parent
        self.path = path
        self.kind = kind
        self.type = type
        self.module = module
        self.children: dict[str, Branch] = {}
        self.op_rows: dict[tuple[str, int], Branch] = {}
        self.calls = 0
        self.input_shapes: tuple[Shape, ...] | None = None
        self.output_shapes: tuple[Shape, ...] | None = None
        self.output_dtypes: tuple[str, ...] = ()
        self.flops = 0
        self.backward_flops = 0
        self.output_bytes = 0
        self.activations = 0
        self.activation_bytes = 0
        self.other_flops = 0
        self.shared_with: str | None = None
        self.uncounted: dict[str, int] = {}
        self.index = -1

    def drop(self) -> None:
        """Take this node out of the tree again."""
        if self.parent is not None:
            self.parent.children.pop(self.path, None)


class Tree:
    """Finds the place of each call in the tree of declared modules.

    A module called through a container that itself never runs (a ``ModuleList``) is put under
    that container; one registered under several names takes them in turn.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.paths: dict[int, list[str]] = {}
        self.modules: dict[str, nn.Module] = {}
        for path, module in named_modules(model, every_name=True):
            self.paths.setdefault(id(module), []).append(path)
            self.modules[path] = module
        self.root = Branch(None, "", "module", type_name(model), model)
        self._first: dict[int, Branch] = {id(model): self.root}
        self.unregistered: dict[int, nn.Module] = {}
        self._by_path: dict[str, Branch] = {}

    def place_module(self, parent: Branch, module: nn.Module, turn: int) -> Branch:
        """Return the branch of a module called from ``parent`` for the ``turn``-th time."""
        if module is self.model:
            return self.root
        path = self._choose(parent.path, self.paths.get(id(module), []), turn)
        if path is None:
            return self._place_unregistered(parent, module, turn)
        home = parent
        prefix = f"{parent.path}." if parent.path else ""
        if path.startswith(prefix):
            parts = path[len(prefix) :].split(".")
            for count in range(1, len(parts)):
                between = prefix + ".".join(parts[:count])
                home = self._child(home, between, self.modules[between])
        return self._child(home, path, module)

    def _choose(self, parent: str, paths: list[str], turn: int) -> str | None:
        if not paths:
            return None
        prefix = f"{parent}." if parent else ""
        below = [path for path in paths if path.startswith(prefix)]
        direct = [path for path in below if "." not in path[len(prefix) :]]
        candidates = direct or below or paths
        return candidates[turn % len(candidates)]

    def _place_unregistered(self, parent: Branch, module: nn.Module, turn: int) -> Branch:
        self.unregistered[id(module)] = module
        known = self._first.get(id(module))
        if known is not None and known.parent is parent:
            return known
        prefix = f"{parent.path}." if parent.path else ""
        name = f"{prefix}<{type_name(module)}>"  # no path of Python's: it has no name there
        number = sum(1 for path in parent.children if path.startswith(name))
        path = f"{name}_{number}" if number else name
        return self._child(parent, path, module)

    def _child(self, parent: Branch, path: str, module: nn.Module) -> Branch:
        branch = parent.children.get(path)
        if branch is None:
            branch = Branch(parent, path, "module", type_name(module), module)
            parent.children[path] = branch
            first = self._first.setdefault(id(module), branch)
            if first is not branch:
                branch.shared_with = first.path
        return branch

    def place_op(self, parent: Branch, name: str, turn: int) -> Branch:
        """Return the branch of the ``turn``-th call of a function in one call of ``parent``."""
        branch = parent.op_rows.get((name, turn))
        if branch is None:
            prefix = f"{parent.path}." if parent.path else ""
            number = turn  # the names of the turns before are taken
            path = f"{prefix}{name}_{number}" if number else f"{prefix}{name}"
            while path in parent.children or path in self.modules:
                number += 1
                path = f"{prefix}{name}_{number}"
            branch = Branch(parent, path, "op", name, None)
            parent.children[path] = branch
            parent.op_rows[name, turn] = branch
        return branch

    def add_declared(self) -> None:
        """Add the modules that are declared and were never called, in the order declared."""
        placed = {
            id(branch.module) for branch in self._walk(self.root) if branch.module is not None
        }
        layer = "."  # prefix of what is below the last layer; in this order it follows at once
        for path, module in self.modules.items():
            if not path or path.startswith(layer):
                continue
            if is_layer(module):
                layer = f"{path}."  # parametrisations are part of their layer
            if id(module) in placed and self._find(path) is None:
                continue  # an alias of a module that has run under another name
            parent = self._find(path.rpartition(".")[0])
            if parent is not None:
                self._child(parent, path, module)

    def _find(self, path: str) -> Branch | None:
        if not path:
            return self.root
        branch = self._by_path.get(path)
        if branch is None:
            self._by_path = {b.path: b for b in self._walk(self.root) if b.kind == "module"}
            branch = self._by_path.get(path)
        return branch

    def _walk(self, branch: Branch) -> Iterator[Branch]:
        yield branch
        for child in branch.children.values():
            yield from self._walk(child)

"""The tree that a pass grows, and the frozen rows that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from modelcli.loading.types import Shape
from modelcli.tracing.operations import is_layer, is_plumbing, layer_base, type_name
from modelcli.tracing.record import Kind, Node
from modelcli.tracing.survey import Key, count_elements, packed_elements, tensor_key


class Branch:
    """A node while the pass runs: what was seen so far, of this node alone."""

    __slots__ = (
        "backward_flops", "calls", "children", "flops", "index", "input_shapes", "kind", "module",
        "op_rows", "output_bytes", "output_shapes", "parent", "path", "shared_with", "type",
        "uncounted",
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
        self.flops = 0
        self.backward_flops = 0
        self.output_bytes = 0
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
        for path, module in model.named_modules(remove_duplicate=False):
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
            path, number = f"{prefix}{name}", 0
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


class Rows:
    """Turns a finished tree into nodes, counting every tensor where it is first met."""

    def __init__(self, tree: Tree, used: set[int]) -> None:
        self._tree = tree
        self._used = used
        self._seen: set[Key] = set()
        self._nodes: list[dict[str, Any]] = []
        self.packed_params = 0
        self._names: dict[Key, str] = {}
        for name, parameter in tree.model.named_parameters(remove_duplicate=False):
            self._names.setdefault(tensor_key(parameter), name)

    def make(self) -> tuple[Node, ...]:
        """Return the nodes, parents before children; also numbers the branches."""
        self._add(self._tree.root, None, 0)
        return tuple(Node(**values) for values in self._nodes)

    def _add(self, branch: Branch, parent: int | None, depth: int) -> dict[str, Any]:
        index = branch.index = len(self._nodes)
        values: dict[str, Any] = {
            "index": index,
            "parent": parent,
            "path": branch.path,
            "depth": depth,
            "kind": branch.kind,
            "type": branch.type,
            "calls": branch.calls,
            "input_shapes": branch.input_shapes or (),
            "output_shapes": branch.output_shapes or (),
            "own_macs": branch.flops // 2,
            "flops": branch.flops,
            "backward_flops": branch.backward_flops,
            "output_bytes": branch.output_bytes,
            "executed": branch.calls > 0,
            "shared_with": branch.shared_with,
            "plumbing": branch.kind == "op" and is_plumbing(branch.type),
            "uncounted": dict(branch.uncounted),
            "params": 0,
            "own_params": 0,
            "tied_params": 0,
            "trainable_params": 0,
            "buffers": 0,
        }
        self._nodes.append(values)
        if branch.module is not None:
            self._add_tensors(branch, values)
        for child in list(branch.children.values()):
            below = self._add(child, index, depth + 1)
            for name in _SUMMED:
                values[name] += below[name]
            values["executed"] = values["executed"] or below["executed"]
            for name, calls in below["uncounted"].items():
                values["uncounted"][name] = values["uncounted"].get(name, 0) + calls
        values["macs"] = values["flops"] // 2
        return values

    def _add_tensors(self, branch: Branch, values: dict[str, Any]) -> None:
        module = branch.module
        assert module is not None
        if id(module) in self._tree.unregistered:
            return
        whole_layer = is_layer(module)
        shown = not whole_layer and not layer_base(module)
        owners = module.modules() if whole_layer else (module,)
        for owner in owners:
            for name, parameter in owner._parameters.items():
                if parameter is not None:
                    self._count(branch, values, name, parameter, shown)
            for buffer in owner._buffers.values():
                if buffer is not None and self._is_new(buffer):
                    values["buffers"] += count_elements(buffer)
        packed = packed_elements(module)
        if packed and self._is_new_key(("packed", id(module))):
            values["params"] += packed
            values["own_params"] += packed
            self.packed_params += packed

    def _count(
        self, branch: Branch, values: dict[str, Any], name: str, tensor: torch.Tensor, shown: bool
    ) -> None:
        elements = count_elements(tensor)
        new = self._is_new(tensor)
        used = id(tensor) in self._used
        trainable = elements if new and tensor.requires_grad else 0
        if new:
            values["params"] += elements
            values["own_params"] += elements
            values["trainable_params"] += trainable
        else:
            values["tied_params"] += elements
        values["executed"] = values["executed"] or used
        if shown:
            self._add_parameter(branch, values, name, tensor, new)

    def _add_parameter(
        self, branch: Branch, values: dict[str, Any], name: str, tensor: torch.Tensor, new: bool
    ) -> None:
        elements = count_elements(tensor)
        first = self._names.get(tensor_key(tensor))
        row = {
            "index": len(self._nodes),
            "parent": values["index"],
            "path": _join(branch.path, name),
            "depth": values["depth"] + 1,
            "kind": "parameter",
            "type": type(tensor).__name__,
            "output_shapes": (tuple(tensor.shape),) if elements else (),
            "params": elements if new else 0,
            "tied_params": 0 if new else elements,
            "trainable_params": elements if new and tensor.requires_grad else 0,
            "executed": id(tensor) in self._used,
            "shared_with": None if new else first,
        }
        self._nodes.append(row)

    def _is_new(self, tensor: torch.Tensor) -> bool:
        return self._is_new_key(tensor_key(tensor))

    def _is_new_key(self, key: Key) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


_SUMMED = (
    "params", "tied_params", "trainable_params", "buffers", "flops", "backward_flops",
)  # fmt: skip


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name

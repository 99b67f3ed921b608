"""From the tree that a pass has grown to the frozen rows of a trace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from modelcli.identity import Key, count_elements, count_unique, tensor_key
from modelcli.modules import modules_of, named_parameters
from modelcli.tracing.filling import fill
from modelcli.tracing.operations import is_layer, layer_base
from modelcli.tracing.record import Node
from modelcli.tracing.survey import packed_tensors
from modelcli.tracing.tree import Branch, Tree
from modelcli.tracing.vocabulary import is_plumbing


class Rows:
    """Turns a finished tree into nodes, counting every tensor where it is first met."""

    def __init__(
        self,
        tree: Tree,
        used: set[int],
        key_of: Callable[[torch.Tensor], Key] = tensor_key,
    ) -> None:
        self._tree = tree
        self._used = used
        self._key_of = key_of
        self._seen: set[Key] = set()
        self._nodes: list[dict[str, Any]] = []
        self.packed_params = 0
        self.packed_bytes = 0

    def make(self) -> tuple[Node, ...]:
        """Return the nodes, parents before children; also numbers the branches."""
        self._add(self._tree.root, None, 0)
        return tuple(fill(Node, values) for values in self._nodes)

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
            "output_dtypes": branch.output_dtypes,
            "own_macs": branch.flops // 2,
            "flops": branch.flops,
            "backward_flops": branch.backward_flops,
            "output_bytes": branch.output_bytes,
            "activations": branch.activations,
            "other_flops": branch.other_flops,
            "activation_bytes": branch.activation_bytes,
            "executed": branch.calls > 0,
            "shared_with": branch.shared_with,
            "plumbing": branch.kind == "op" and is_plumbing(branch.type),
            "printed": branch.kind == "module" and branch.path in self._tree.modules,
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
        owners = modules_of(module) if whole_layer else (module,)
        for owner in owners:
            for name, parameter in owner._parameters.items():
                if parameter is not None:
                    self._count(branch, values, name, parameter, shown)
            for buffer in owner._buffers.values():
                if buffer is not None and self._is_new(buffer):
                    values["buffers"] += count_elements(buffer)
        unpacked = packed_tensors(module)
        packed = count_unique(unpacked) if unpacked else 0
        if packed and self._is_new_key(("packed", id(module))):
            values["params"] += packed
            values["own_params"] += packed
            self.packed_params += packed
            self.packed_bytes += sum(t.numel() * t.element_size() for t in unpacked)

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
            "printed": isinstance(branch.module, (nn.ParameterList, nn.ParameterDict)),
            "uncounted": {},
            "shared_with": None if new else self._first_names.get(self._key_of(tensor)),
        }
        self._nodes.append(row)

    @functools.cached_property
    def _first_names(self) -> dict[Key, str]:
        found: dict[Key, str] = {}
        for name, parameter in named_parameters(self._tree.model, every_name=True):
            found.setdefault(self._key_of(parameter), name)
        return found

    def _is_new(self, tensor: torch.Tensor) -> bool:
        return self._is_new_key(self._key_of(tensor))

    def _is_new_key(self, key: Key) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


_SUMMED = (
    "params", "tied_params", "trainable_params", "buffers", "flops", "backward_flops",
    "activations", "activation_bytes", "other_flops",
)  # fmt: skip


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name

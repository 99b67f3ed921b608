"""Which blocks of a model are gathered and let go of as one, by one observed pass.

A block's weights are whole only while its forward or backward runs. So a block is a module that
forward calls, whose parameters nobody else reads and no other part shares; what is none belongs to
the model itself, whose weights are whole from its forward to its backward.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.isolation import isolated, modes_kept
from modelcli.loading.example import ExampleInputs
from modelcli.loading.source import Source
from modelcli.modules import named_children, named_parameters, set_mode
from modelcli.nested import tensors_in
from modelcli.tracing.tracer import observe_pass
from modelcli.tracing.tree import Branch


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The blocks of a model.

    Attributes:
        paths: of the blocks, in the order of registration; none: the model is one.
        reason: why there are none, where the pass failed; else "".
    """

    paths: tuple[str, ...]
    reason: str = ""


def find_units(source: Source, model: nn.Module, inputs: ExampleInputs) -> Units:
    """Return the blocks of a model on meta: modules of one class beside each other.

    Layers of torch must have the same shapes as well: ten linear layers of one size are a stack,
    a first and a last one are not.
    """
    readers = _Readers(model)
    with isolated(source.folder), modes_kept(model):
        set_mode(model, False)  # in training a block may be left out by chance
        seen = observe_pass(model, inputs.args, dict(inputs.kwargs), on_meta=True, listener=readers)
    if seen.error is not None:
        return Units(paths=(), reason=f"{type(seen.error).__name__} on meta")
    called = {branch.path for branch in _walk(seen.tree.root) if branch.calls}
    closed = _Closed(model, readers.paths)
    return Units(paths=tuple(_choose("", model, called, closed)))


class _Readers:
    """Notes from where every parameter is read."""

    def __init__(self, model: nn.Module) -> None:
        self._known = {id(parameter) for _, parameter in named_parameters(model)}
        self.paths: dict[int, set[str]] = {}

    def on_output(self, path: str, output: Any) -> None:
        """Nothing is read there."""

    def on_function(
        self, path: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any
    ) -> None:
        """Note the parameters among the arguments of a function."""
        for tensor in tensors_in((args, dict(kwargs))):
            if id(tensor) in self._known:
                self.paths.setdefault(id(tensor), set()).add(path)


class _Closed:
    """Tells whether all that is known of a module's parameters lies inside of it."""

    def __init__(self, model: nn.Module, readers: Mapping[int, set[str]]) -> None:
        self._readers = readers
        self._names: dict[int, list[str]] = {}
        for name, parameter in named_parameters(model, every_name=True):
            self._names.setdefault(id(parameter), []).append(name)

    def __call__(self, path: str, module: nn.Module) -> bool:
        inside = f"{path}."
        parameters = [parameter for _, parameter in named_parameters(module)]
        return bool(parameters) and all(
            all(name.startswith(inside) for name in self._names[id(parameter)])
            and all(
                reader == path or reader.startswith(inside)
                for reader in self._readers.get(id(parameter), ())
            )
            for parameter in parameters
        )


def _choose(path: str, module: nn.Module, called: set[str], closed: _Closed) -> Iterator[str]:
    children = [(name, child) for name, child in named_children(module)]
    for name, child in children:
        full = f"{path}.{name}" if path else name
        twins = sum(_alike(child, other) for _, other in children)
        if twins > 1 and full in called and closed(full, child):
            yield full
        else:
            yield from _choose(full, child, called, closed)


def _alike(one: nn.Module, other: nn.Module) -> bool:
    if type(one) is not type(other):
        return False
    if not type(one).__module__.startswith("torch.nn."):
        return True
    return _shapes(one) == _shapes(other)


def _shapes(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for _, parameter in named_parameters(module)]


def _walk(branch: Branch) -> Iterator[Branch]:
    yield branch
    for child in branch.children.values():
        yield from _walk(child)

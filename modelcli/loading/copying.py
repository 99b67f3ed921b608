"""Private copies of modules that somebody else owns, whatever else those hold.

Modules and tensors are copied, always: also those whose class refuses it or gives itself. What
cannot be copied (locks, files, sockets, generators, threads) is shared, and named.
"""

from __future__ import annotations

import contextlib
import copy
import copyreg
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modelcli.loading.twins import Twins
from modelcli.modules import buffers_of, find_module, modules_of, named_modules, parameters_of


def copy_to_meta(model: nn.Module, *, shared: list[str] | None = None) -> nn.Module:
    """Return a private copy of a module on meta, ties kept; the module itself is not touched.

    Args:
        shared: receives the names of the types that the copy shares with the module.

    Raises:
        Exception: what a part of it raised that can be neither copied nor shared.
    """
    return _Copier(model, Twins()).copy(shared)


def copy_to_cpu(model: nn.Module, *, shared: list[str] | None = None) -> nn.Module:
    """Return a private copy of a module on the CPU, values and ties kept.

    Args:
        shared: receives the names of the types that the copy shares with the module.

    Raises:
        Exception: what a part of it raised that can be neither copied nor shared.
    """
    return _Copier(model, Twins("cpu", values=True)).copy(shared)


class _Copier:
    """Copies one module, and learns at each attempt what has to be copied or kept otherwise."""

    def __init__(self, model: nn.Module, twins: Twins) -> None:
        self._model = model
        self._twins = twins
        self._by_hand = {id(m): m for m in modules_of(model) if _has_own_copy(m)}
        self._kept: dict[int, Any] = {}  # what stands for an object in the copy, by its id
        self._keep_alive: list[Any] = []
        self._shared_types: dict[type, None] = {}
        for tensor in (*parameters_of(model), *buffers_of(model)):
            twins.twin(tensor)

    def copy(self, shared: list[str] | None) -> nn.Module:
        """Try until it works; every attempt takes out one more obstacle."""
        while True:
            try:
                made = self._attempt()
                break
            except Exception as error:
                if isinstance(error, RecursionError) or not self._learn(error):
                    raise
        if shared is not None:
            shared += [kind.__qualname__ for kind in self._shared_types]
        return made

    def _attempt(self) -> nn.Module:
        proxies = list(_weak_children(self._model))
        memo: dict[int, Any] = {**self._twins.memo(), **self._kept}
        memo.update({id(proxy): nn.Identity() for _, _, proxy in proxies})
        shells = {key: object.__new__(type(module)) for key, module in self._by_hand.items()}
        memo.update(shells)
        with _TwinCopies(self._twins), _sharing(self._shared_types):
            for key, module in self._by_hand.items():
                _fill(shells[key], module, memo)
            made: nn.Module = copy.deepcopy(self._model, memo)
        _point_back(self._model, made, proxies)
        return made

    def _learn(self, error: Exception) -> bool:
        """Find the object that could not be copied; tell whether there is another way."""
        value = _last_copied(error.__traceback__)
        if value is None or isinstance(value, torch.Tensor):
            return False
        if id(value) in self._kept or id(value) in self._by_hand:
            return False
        self._keep_alive.append(value)
        if isinstance(value, nn.Module):
            self._by_hand[id(value)] = value
        elif isinstance(value, torch.Generator):
            self._kept[id(value)] = value.clone_state()
        elif isinstance(value, (dict, list, tuple, set, frozenset)):
            return False  # too deep, or not what it says: its contents may be modules
        else:
            self._kept[id(value)] = value
            self._shared_types[type(value)] = None
        return True


def _has_own_copy(module: nn.Module) -> bool:
    """Tell whether a class that is not torch's says how it is copied, or answers to any name."""
    for owner in type(module).__mro__:
        if owner.__module__.split(".")[0] == "torch":
            return False
        if "__deepcopy__" in vars(owner) or "__getattr__" in vars(owner):
            return True
    return False


def _fill(shell: Any, module: nn.Module, memo: dict[int, Any]) -> None:
    """Copy what a module holds, by its own names, without asking its class."""
    vars(shell).update(copy.deepcopy(vars(module), memo))
    for name in copyreg._slotnames(type(module)):  # type: ignore[attr-defined]
        with contextlib.suppress(AttributeError):  # a slot may be empty
            value = object.__getattribute__(module, name)
            object.__setattr__(shell, name, copy.deepcopy(value, memo))


def _last_copied(traceback: TracebackType | None) -> Any:
    """Return the object at which ``copy.deepcopy`` stopped."""
    found = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code is copy.deepcopy.__code__:
            found = traceback.tb_frame.f_locals["x"]
        traceback = traceback.tb_next
    return found


@contextlib.contextmanager
def _sharing(types: dict[type, None]) -> Iterator[None]:
    """Let copies of these types be the objects themselves."""
    known = dict(copyreg.dispatch_table)
    try:
        for kind in types:
            copyreg.dispatch_table[kind] = lambda value: "shared"  # a text stands for no copy
        yield
    finally:
        copyreg.dispatch_table.clear()
        copyreg.dispatch_table.update(known)


def _weak_children(model: nn.Module) -> Iterator[tuple[str, str, Any]]:
    """Yield path of the owner, name and proxy of what is registered by a weak reference."""
    for path, module in named_modules(model):
        for name, child in module._modules.items():
            if isinstance(child, nn.Module) and type(child) in weakref.ProxyTypes:
                yield path, name, child


def _point_back(model: nn.Module, made: nn.Module, proxies: list[tuple[str, str, Any]]) -> None:
    """Let the weak references of a copy point into the copy."""
    if not proxies:
        return
    paths = {id(vars(module)): path for path, module in named_modules(model)}
    for owner, name, proxy in proxies:
        path = paths.get(id(vars(proxy)))
        if path is not None:
            target: Any = weakref.proxy(find_module(made, path))
            find_module(made, owner)._modules[name] = target


class _TwinCopies(TorchFunctionMode):
    """Answers ``copy.deepcopy`` of any tensor, however deep, with its twin."""

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self._twins = twins

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one torch function, with deep copies replaced."""
        if func is torch.Tensor.__deepcopy__:
            return self._twins.twin(args[0])
        return func(*args, **(kwargs or {}))

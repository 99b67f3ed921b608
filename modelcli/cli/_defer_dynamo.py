"""Leave the compiler out of a start: a stand-in for ``torch._dynamo`` until it is needed.

The first operation on meta, the first ``TorchDispatchMode`` and the first optimiser step each
import ``torch._dynamo`` (about as long again as ``import torch``) only to call its ``disable``,
through ``torch._compile._disable_dynamo``. A stand-in answers that one question and becomes the
real module as soon as anything else is asked of it. A library must not do this to its host.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"


def _keep(fn: Callable[..., Any] | None = None, *_args: object, **_kwargs: object) -> Any:
    """Stand in for ``torch._dynamo.disable``: without a compiler there is nothing to disable."""
    return fn if fn is not None else _keep


def _pass(msg: str = "") -> None:
    """Stand in for ``torch._dynamo.graph_break``, which does nothing outside a compilation."""


class _DeferredDynamo(ModuleType):
    """Answers ``disable`` and ``graph_break``; anything else loads the real ``torch._dynamo``."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self.__path__: list[str] = []  # a package, so that submodule imports reach the finder
        self.__spec__ = importlib.machinery.ModuleSpec(_NAME, None, is_package=True)
        self.disable = _keep
        self.graph_break = _pass  # what an optimiser step calls around itself

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_load_real(), name)


class _AlreadyLoaded:
    """Hands over a module that importing the real package has loaded on its way."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__
        self._loader = getattr(module, "__loader__", None)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # importlib has just overwritten both
        module.__loader__ = self._loader


class _SubmoduleFinder:
    """Loads the real package before any ``torch._dynamo.x`` is looked for.

    It and its loader follow the protocols of ``importlib.abc`` without importing that: its
    resource readers take 10 ms of a start.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(_NAME + "."):
            return None
        if not isinstance(sys.modules.get(_NAME), _DeferredDynamo):
            return None
        real = _load_real()
        loaded = sys.modules.get(fullname)
        if loaded is not None:
            loader: Any = _AlreadyLoaded(loaded)
            return importlib.machinery.ModuleSpec(fullname, loader)
        return importlib.machinery.PathFinder.find_spec(fullname, real.__path__)


def _load_real() -> ModuleType:
    """Import the real ``torch._dynamo`` in the place of the stand-in."""
    current = sys.modules.get(_NAME)
    if current is not None and not isinstance(current, _DeferredDynamo):
        return current
    sys.modules.pop(_NAME, None)
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _SubmoduleFinder)]
    return importlib.import_module(_NAME)


def defer_dynamo() -> None:
    """Put the stand-in where ``torch._dynamo`` would be, unless it is already loaded."""
    if _NAME in sys.modules or "torch" in sys.modules:
        return
    sys.modules[_NAME] = _DeferredDynamo()
    sys.meta_path.insert(0, _SubmoduleFinder())

"""Arguments of ``forward`` that bundle tensors: annotated as a dataclass or a named tuple.

``batch.x`` and ``batch.mask`` give the parts of one; the class of the annotation is made of them,
as a forward may take it apart, replace a part of it or call its methods.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from modelcli.loading.arguments import allowed_by, signature_of
from modelcli.loading.nests import Nest


def bundles_of(model: nn.Module) -> dict[str, type]:
    """Return the classes of the parameters of ``forward`` that bundle tensors."""
    hints, parameters = signature_of(model.forward)
    found = {name: _bundle(hints.get(name)) for name in parameters}
    return {name: kind for name, kind in found.items() if kind is not None}


def parts_of(kind: type) -> list[str]:
    """Return the names of what a bundle cannot do without; a part of a bundle in it as ``a.b``."""
    hints, parameters = signature_of(kind)
    names: list[str] = []
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty:
            inner = _bundle(hints.get(name))
            names += [name] if inner is None else [f"{name}.{part}" for part in parts_of(inner)]
    return names


def bundled(model: nn.Module, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments in which what was given in parts is what its annotation says."""
    if not any(isinstance(value, Nest) for value in kwargs.values()):
        return dict(kwargs)
    kinds = bundles_of(model)
    return {name: _made(kinds.get(name), value) for name, value in kwargs.items()}


def _made(kind: type | None, value: Any) -> Any:
    """Return the bundle of these parts; the parts as they are where they do not make one."""
    if kind is None or not isinstance(value, Nest):
        return value
    hints, parameters = signature_of(kind)
    needed = {n for n, p in parameters.items() if p.default is p.empty}
    if not needed <= value.keys() <= parameters.keys():
        return value
    try:
        return kind(**{name: _made(_bundle(hints.get(name)), v) for name, v in value.items()})
    except Exception:  # the user's code; forward tells what it misses
        return value


def _bundle(hint: Any) -> type | None:
    """Return the class of an annotation that holds tensors by name."""
    kinds: list[type] = [kind for kind in allowed_by(hint) if inspect.isclass(kind)]
    named = (k for k in kinds if dataclasses.is_dataclass(k) or _is_named_tuple(k))
    return next(named, None)


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")

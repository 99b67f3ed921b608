"""Calls that refuse a placeholder, recorded while a forward runs on nothing.

torch looks at the sizes of ``zeros(n)`` and ``weight.expand(n, -1)`` before it asks whether one of
them stands for something, and einops asks each tensor for its framework.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

_METHODS = (
    "expand", "view", "reshape", "repeat", "new_zeros", "new_ones", "new_full", "new_empty",
    "broadcast_to", "narrow",
)  # fmt: skip
_FACTORIES = ("zeros", "ones", "full", "empty", "rand", "randn", "arange", "linspace", "eye")


def rearrange(tensor: Any, pattern: str, **lengths: int) -> Any:
    """Stand in a graph for any call of einops."""


@contextlib.contextmanager
def recorded_calls(
    holds: Callable[[Any], bool], record: Callable[[str, Any, Any, Any], Any]
) -> Iterator[None]:
    """Record the calls that a placeholder is among the arguments of.

    Args:
        holds: tells whether a placeholder is among some values.
        record: makes a node of its kind, what it calls, its arguments and its keywords.
    """
    with contextlib.ExitStack() as stack:
        for name in _METHODS:
            _replace(stack, torch.Tensor, name, _method(name, holds, record))
        for name in _FACTORIES:
            _replace(stack, torch, name, _factory(getattr(torch, name), holds, record))
        einops: Any = sys.modules.get("einops.einops")
        if hasattr(einops, "reduce"):
            _replace(stack, einops, "reduce", _einops(einops.reduce, holds, record))
            _replace(stack, einops, "get_backend", _backend(einops.get_backend, holds, record))
        yield


def _replace(stack: contextlib.ExitStack, owner: Any, name: str, new: Any) -> None:
    """Replace an attribute until the stack is closed; an inherited one appears again by itself."""
    if name in vars(owner):
        stack.callback(setattr, owner, name, vars(owner)[name])
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, new)


def _method(name: str, holds: Any, record: Any) -> Any:
    original = getattr(torch.Tensor, name)

    def call(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if holds((args, kwargs)):
            return record("call_method", name, (tensor, *args), kwargs)
        return original(tensor, *args, **kwargs)

    return call


def _factory(original: Any, holds: Any, record: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        if holds((args, kwargs)):
            return record("call_function", original, args, kwargs)
        return original(*args, **kwargs)

    return call


def _einops(original: Any, holds: Any, record: Any) -> Any:
    def call(tensor: Any, pattern: str, *args: Any, **kwargs: Any) -> Any:
        if holds(tensor):
            return record("call_function", rearrange, (tensor, pattern), kwargs)
        return original(tensor, pattern, *args, **kwargs)

    return call


class _Recording:
    """What einops takes for a framework: it has no operation but products."""

    def __init__(self, record: Any) -> None:
        self._record = record

    def einsum(self, pattern: str, *tensors: Any) -> Any:
        return self._record("call_function", torch.einsum, (pattern, *tensors), {})


def _backend(original: Any, holds: Any, record: Any) -> Any:
    def find(tensor: Any) -> Any:
        return _Recording(record) if holds(tensor) else original(tensor)

    return find

"""Operators that take functions of the model (``torch.cond``, ``while_loop``): run as Python would.

torch compiles them. In a pass their bodies run eagerly, so that what they call is seen, and the
branch or the number of turns is that of this input.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from torch._ops import HigherOrderOperator

_UTILITIES = "torch._higher_order_ops.utils"
_COMPILE = "_hop_compile_and_call"


@contextlib.contextmanager
def uncompiled_bodies(*, as_python: bool = False) -> Iterator[None]:
    """Keep torch from compiling an operator that takes functions.

    Args:
        as_python: call the functions at once, so that no operator is seen.
    """
    utilities: Any = sys.modules.get(_UTILITIES)
    compiles = getattr(utilities, _COMPILE, None)
    if compiles is None:
        yield
        return
    try:
        setattr(utilities, _COMPILE, _as_python if as_python else _call)
        yield
    finally:
        setattr(utilities, _COMPILE, compiles)


def _call(fn: Callable[..., Any], args: Any, kwargs: Any = None, **_: Any) -> Any:
    return fn(*args, **(kwargs or {}))


def _as_python(fn: Callable[..., Any], args: Any, kwargs: Any = None, **_: Any) -> Any:
    body = _BODIES.get(fn.__name__.strip("_").removesuffix("_op_wrapper"), fn)
    return body(*args, **(kwargs or {}))


def body_of(func: Any) -> Callable[..., Any] | None:
    """Return what runs an operator as Python would; None where that is not known."""
    return _BODIES.get(func.__name__) if isinstance(func, HigherOrderOperator) else None


def _run_cond(
    condition: Any, if_true: Callable[..., Any], if_false: Callable[..., Any], operands: Any
) -> Any:
    branch = if_true if condition else if_false
    return branch(*operands)


def _run_while(
    goes_on: Callable[..., Any], turn: Callable[..., Any], carried: Any, additional: Any
) -> Any:
    while goes_on(*carried, *additional):
        carried = tuple(turn(*carried, *additional))
    return tuple(carried)


_BODIES: dict[str, Callable[..., Any]] = {"cond": _run_cond, "while_loop": _run_while}

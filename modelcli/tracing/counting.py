"""Whether a pass also counts what is free by convention; asked when its observers are made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal

Count = Literal["contractions", "all"]
"""What is counted: contractions alone, or the rest as well, in a column of its own."""

_COUNTS_ALL = ContextVar("counts_all", default=False)


def counts_all() -> bool:
    """Tell whether element-wise work and the like is to be counted too."""
    return _COUNTS_ALL.get()


@contextlib.contextmanager
def counting(what: Count) -> Iterator[None]:
    """Let the passes in this block count contractions alone, or all."""
    before = _COUNTS_ALL.set(what == "all")
    try:
        yield
    finally:
        _COUNTS_ALL.reset(before)

"""What a difference between two sides comes from, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why two sides differ."""

    WRAPPER = "wrapper"
    PREFIX = "prefix"
    TIED = "tied"
    HEAD = "head"
    VOCABULARY = "vocabulary"
    TRANSPOSED = "transposed"
    RENAMED = "renamed"
    DTYPE = "dtype"
    COUNTERS = "counters"
    QUANTISED = "quantised"
    ADAPTER = "adapter"
    PLACEHOLDER = "placeholder"
    AVERAGED = "averaged"
    POSITIONS = "positions"
    OLD_NAMES = "old names"
    VALUES = "values"
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A cause that was recognised.

    Attributes:
        text: what is the case, in one line.
        fix: what to do, in one line; may be empty.
    """

    cause: Cause
    text: str
    fix: str = ""

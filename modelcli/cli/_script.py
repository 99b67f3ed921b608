"""The words of the command line, and those behind ``--``, for a script that reads them itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

WORDS: ContextVar[tuple[str, ...]] = ContextVar("words", default=())
"""The command line as it was given, for the processes that are to run it too."""


def split_script(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split ``summary net.py:Net -- --data x`` at the ``--`` behind a Python target.

    Without a file or module before it, ``--`` keeps its usual meaning.
    """
    if "--" not in words:
        return list(words), []
    at = list(words).index("--")
    before = list(words[:at])
    is_code = any(":" in word and not word.startswith("-") for word in before)
    return (before, list(words[at + 1 :])) if is_code else (list(words), [])

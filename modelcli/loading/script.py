"""What stands behind ``--`` on the command line: for a script that reads it when it is imported.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

_WORDS: ContextVar[tuple[str, ...]] = ContextVar("words of the script", default=())


def set_script_arguments(words: Sequence[str]) -> None:
    """Keep the words for the files that are imported from now on."""
    _WORDS.set(tuple(words))


def script_arguments() -> tuple[str, ...]:
    """Return the words that a file finds in ``sys.argv`` behind its own name."""
    return _WORDS.get()

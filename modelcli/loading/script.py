"""How a script of a user's is imported: its words behind ``--``, its prints, and how long it takes.

Imports no torch.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

_SLOW_S = 5.0  # an import that takes longer is noticed
_FEW_LINES = 3  # so many printed lines are shown as they are

_WORDS: ContextVar[tuple[str, ...]] = ContextVar("words of the script", default=())


def set_script_arguments(words: Sequence[str]) -> None:
    """Keep the words for the files that are imported from now on."""
    _WORDS.set(tuple(words))


def script_arguments() -> tuple[str, ...]:
    """Return the words that a file finds in ``sys.argv`` behind its own name."""
    return _WORDS.get()


@dataclass(frozen=True, slots=True)
class ImportHabits:
    """How a file is imported whose top level prints or takes long.

    Attributes:
        folds_prints: more than a few printed lines are counted instead of shown.
        notice: is told what to say of a file that has been running for seconds; None says nothing.
    """

    folds_prints: bool = False
    notice: Callable[[str], None] | None = None


_HABITS: ContextVar[ImportHabits | None] = ContextVar("habits of imports", default=None)


def set_import_habits(habits: ImportHabits) -> None:
    """Keep to these habits for the files that are imported from now on."""
    _HABITS.set(habits)


def say_meanwhile(text: str) -> None:
    """Say something before what it is about is done, where somebody listens."""
    habits = _HABITS.get()
    if habits is not None and habits.notice is not None:
        habits.notice(text)


@contextlib.contextmanager
def watched_import(shown: str) -> Iterator[list[str]]:
    """Fold what a file prints while it is imported, and notice that it takes seconds.

    Yields:
        A list that receives the remark on what was folded when the block ends. After an error, or
        where little was printed, the lines go to stderr as they are.
    """
    habits = _HABITS.get() or ImportHabits()
    remarks: list[str] = []
    timer = None
    if habits.notice is not None:
        text = (
            f"'{shown}' has been running for {_SLOW_S:.0f} s: does it train when it is "
            "imported? Ctrl-C stops it; put that under if __name__ == '__main__'"
        )
        timer = threading.Timer(_SLOW_S, habits.notice, [text])
        timer.daemon = True
        timer.start()
    held, before = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True), sys.stdout
    if habits.folds_prints:
        sys.stdout = held
    done = False
    try:
        yield remarks
        done = True
    finally:
        if timer is not None:
            timer.cancel()
        if habits.folds_prints:
            sys.stdout = before
            held.seek(0)
            lines = held.read().splitlines()
            if done and len(lines) > _FEW_LINES:
                remarks.append(f"{shown} printed {len(lines):,} lines (-v shows them)")
            elif lines and sys.stderr is not None:
                sys.stderr.write("".join(f"{line}\n" for line in lines))

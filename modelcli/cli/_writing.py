"""The only place that writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import TextIO

from modelcli.cli._terminal import wants_colour
from modelcli.errors import ModelcliError, UsageError
from modelcli.views.text import Styled, safe_line, shorten


def write_error(error: ModelcliError) -> None:
    """Write an expected error in two lines on stderr, and a line for each of several mistakes."""
    first = error.message.partition("\n")[0] if error.mistakes else error.message
    lines = [("error: ", first, "red")]
    lines += [(f"  {number}. ", text, "red") for number, text in enumerate(error.mistakes, 1)]
    if error.hint:
        lines.append(("hint: ", error.hint, "cyan"))
    colour = wants_colour(sys.stderr)
    for label, text, style in lines:
        one_line = shorten(" ".join(text.split()))
        shown = f"\x1b[{_ANSI[style]}m{label}\x1b[0m" if colour else label
        write_remark(Styled(shown + one_line))


_ANSI = {"red": "1;31", "cyan": "1;36"}


def write_remark(line: str) -> None:
    """Write a line on stderr; what it cannot take is dropped, for a remark must not end a run."""
    if sys.stderr is None or sys.stderr.closed:
        return
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{safe_line(line)}\n")
        sys.stderr.flush()


def write_lines(lines: Iterable[str]) -> None:
    """Write lines on stdout as they are: the layouts have escaped what names hold."""
    _write("".join(f"{line}\n" for line in lines))


def write_bytes(data: bytes) -> None:
    """Write bytes on stdout."""
    _write(data)


def _write(content: str | bytes) -> None:
    stream = sys.stdout
    if stream is None or stream.closed:
        raise ClosedStdoutError
    try:
        if isinstance(content, bytes):
            stream.buffer.write(content)
        else:
            stream.write(content)
        stream.flush()
    except BrokenPipeError:
        raise ClosedPipeError from None  # typer would end the process with 1
    except OSError as error:
        raise unwritable(error) from error


def is_utf8(stream: TextIO | None) -> bool:
    """Tell whether a stream takes every character."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def unwritable(error: OSError) -> UsageError:
    """Return the error of a result that stdout does not take, and write nothing more there."""
    abandon_stdout()
    return UsageError(
        f"the output cannot be written: {error.strerror}", "is the disk full, or read-only?"
    )


class ClosedStdoutError(UsageError):
    """The shell has closed stdout: ``modelcli ... >&-``."""

    def __init__(self) -> None:
        super().__init__("the output cannot be written: stdout is closed", "leave '>&-' out")


def refuse_closed_stdout() -> int:
    """Say, before anything is done, that no result could be written; return the exit code."""
    error = ClosedStdoutError()
    write_error(error)
    return int(error.exit_code)


class ClosedPipeError(BaseException):
    """Nobody reads the result any more (``| head``); no ``except Exception`` is to stop it."""


def abandon_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush cannot complain."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def stdout_refuses() -> bool:
    """Tell whether stdout takes no more, after a write of the parser's own, help or a completion.

    What could not be written is gone, and only a further write tells.
    """
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False

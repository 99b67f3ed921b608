"""The standard streams of a process of our own: closed ones, full ones, and narrow encodings."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Mapping

_C_LOCALES = ("C", "POSIX")

# What our tables and curves are drawn with, and what stands for it where only ASCII can be shown.
_PLAIN = {
    **dict.fromkeys("█▉▊▋▌", "#"),
    **dict.fromkeys("▍▎▏", " "),
    **dict(zip("▁▂▃▄▅▆▇", "_.-=+*%", strict=True)),
    **dict.fromkeys("─━═╌┄", "-"),
    **dict.fromkeys("│┃║╎┆┤├", "|"),
    **dict.fromkeys("┌┐└┘╭╮╰╯┬┴┼", "+"),
    "×": "x",
    "→": "->",
    "…": "...",
    "\u2800": " ",
}  # fmt: skip


def prepare_streams() -> bool:
    """Make stdin, stdout and stderr safe to use, and tell whether results can be written at all.

    A closed one becomes the null device, so that no file of ours is opened in its place. What
    stderr cannot take, because it is full or nobody reads it, is dropped: a remark must not end
    a run. What stdout cannot take is the affair of who writes there.

    Returns:
        False where the shell has closed stdout.
    """
    codecs.register_error("modelcli.plain", _draw_plainly)
    closed = [fd for fd in range(3) if not _is_open(fd)]
    for fd in closed:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        _reopen(fd)
    if isinstance(sys.stderr, io.TextIOWrapper):
        old = sys.stderr
        buffer = io.BufferedWriter(_Forgiving(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(buffer, encoding=old.encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            narrow = stream.isatty() and is_c_locale(os.environ)
            encoding = "ascii" if narrow else stream.encoding
            stream.reconfigure(encoding=encoding, errors="modelcli.plain")
    return 1 not in closed


class _Forgiving(io.FileIO):
    """A file that takes every write, and drops what the system refuses."""

    def write(self, data: object) -> int:
        try:
            return super().write(data) or 0  # type: ignore[arg-type]
        except OSError:
            return len(memoryview(data))  # type: ignore[arg-type]


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _reopen(fd: int) -> None:
    """Give Python the stream that it has left out because its number was closed."""
    raw = io.FileIO(fd, "w" if fd else "r", closefd=False)
    buffer: io.BufferedReader | io.BufferedWriter
    buffer = io.BufferedWriter(raw) if fd else io.BufferedReader(raw)
    name = ("stdin", "stdout", "stderr")[fd]
    setattr(sys, name, io.TextIOWrapper(buffer, encoding="utf-8"))


def is_c_locale(environment: Mapping[str, str]) -> bool:
    """Tell whether the user says that the terminal has the C locale, which knows only ASCII.

    Python itself writes UTF-8 there; where nothing is said, it is right. For LANG=C alone it sets
    LC_CTYPE=C.UTF-8 (PEP 538).
    """
    first = environment.get("LC_ALL") or environment.get("LC_CTYPE") or ""
    if first in ("", "C.UTF-8") and not environment.get("LC_ALL"):
        return environment.get("LANG") in _C_LOCALES
    return first in _C_LOCALES


def _draw_plainly(error: UnicodeError) -> tuple[str, int]:
    """Encode what an encoding lacks: drawings by what they resemble, names by their escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_plain, text)), error.end


def _plain(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if "\u2800" < character <= "\u28ff":  # the dots of a curve
        return "#"
    return character.encode("ascii", "backslashreplace").decode()

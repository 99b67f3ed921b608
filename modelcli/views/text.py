"""How numbers, shapes and sizes are written for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_POWERS = ("", "k", "M", "G", "T", "P", "E")


def printable(text: str) -> str:
    """Return a text in which whatever would move, colour or reorder what is shown is escaped.

    A name of a layer, a key or a file may hold anything: terminal escapes, line breaks, marks of
    writing direction. A newline becomes ``\\n``, an escape ``\\x1b``, a right-to-left mark
    ``\\u200f``; a backslash stays one, JSON alone tells the two apart.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Styled(str):
    """A line with terminal codes of our own; what came from elsewhere in it is printable."""

    __slots__ = ()

    @property
    def plain(self) -> str:
        """The line without its codes."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self)


def safe_line(line: str) -> str:
    """Return a line as a terminal gets it: printable, but for colours of our own."""
    return line if isinstance(line, Styled) else printable(line)


def plain_line(line: str) -> str:
    """Return a line as a file or a pipe gets it: printable, and without colours of our own."""
    return line.plain if isinstance(line, Styled) else printable(line)


_LONGEST_ECHO, _LONGEST_PATH, _LONGEST_LINE = 80, 255, 1500


def shorten(text: str) -> str:
    """Cut what an error echoes: a word or a quoted value above 80 characters, a path above 255.

    What is returned is printable; escapes make a line longer, so the whole line is cut last.
    """
    text = re.sub(r"'[^']{81,}'", _cut, text)
    text = printable(re.sub(r"\S{81,}", _cut, text))
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]} ..."


def _cut(found: re.Match[str]) -> str:
    whole = found.group()
    is_path = "/" in whole and not re.search(r"\s", whole)
    longest = _LONGEST_PATH if is_path else _LONGEST_ECHO
    quote = "'" if whole[0] == whole[-1] == "'" else ""
    inner = whole[1:-1] if quote else whole
    if len(inner) <= longest:
        return whole
    return f"{quote}{inner[:50]}...{inner[-20:]}{quote} ({len(inner):,} characters)"


def show_count(value: int) -> str:
    """Write an integer with thousands separators: ``61,706``."""
    return f"{value:,}"


def show_cost(cost: int) -> str:
    """Write a cost; nothing is a dash."""
    return show_count(cost) if cost else "-"


def show_si(value: float, unit: str = "") -> str:
    """Write a value with three significant decimals and a power of 1000: ``4.089 G``."""
    power = 0
    scaled = float(value)
    while abs(scaled) >= 1000 and power < len(_POWERS) - 1:
        scaled /= 1000
        power += 1
    number = f"{scaled:.0f}" if power == 0 and scaled == int(scaled) else f"{scaled:.3f}"
    return f"{number} {_POWERS[power]}{unit}".strip()


_PARTS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def show_seconds(value: float) -> str:
    """Write a duration with four significant digits: ``12.35 ms``, ``0 s``; minus where below 0."""
    for unit, name in _PARTS:
        if abs(value) >= unit:
            digits = len(str(int(abs(value) / unit)))
            return f"{value / unit:.{max(0, 4 - digits)}f} {name}"
    return "0 s" if value == 0 else f"{value * 1e9:.3f} ns"


def show_brief(value: float, unit: str = "") -> str:
    """Write a value with three significant digits and a power of 1000: ``4.09 G``."""
    power = 0
    scaled = float(value)
    while float(f"{abs(scaled):.3g}") >= 1000 and power < len(_POWERS) - 1:
        scaled /= 1000
        power += 1
    return f"{scaled:.3g} {_POWERS[power]}{unit}".strip()


def show_bytes(value: int) -> str:
    """Write a size in bytes with a power of 1000: ``246.824 kB``."""
    return show_si(value, "B")


def show_some_bytes(value: int) -> str:
    """Write a size in bytes; nothing is a dash."""
    return show_bytes(value) if value else "-"


def show_percent(share: float) -> str:
    """Write a share of a whole: ``83.2 %``."""
    return f"{100 * share:.1f} %"


def show_shape(shape: Sequence[int]) -> str:
    """Write a shape as Python does: ``(1, 6, 28, 28)``."""
    return str(tuple(shape))


def show_shapes(shapes: Iterable[Sequence[int]]) -> str:
    """Write the shapes of several tensors: ``(1, 8), (1, 8, 768)``; four and more are elided."""
    texts = [show_shape(shape) for shape in shapes]
    if len(texts) > 3:
        return f"{texts[0]}, ... {len(texts) - 1} more"
    return ", ".join(texts)


def show_dims(shape: Sequence[int]) -> str:
    """Write a shape as ``--input`` takes it: ``1x6x28x28``; a scalar is ``scalar``."""
    return "x".join(str(size) for size in shape) or "scalar"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 call``, ``3 calls``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def show_axes(values: Sequence[object] | None) -> str:
    """Write one value per axis: ``7`` where they agree, ``5x3`` where not, nothing for none."""
    if not values or all(value is None for value in values):
        return ""
    texts = ["-" if value is None else str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def show_value(value: float | complex) -> str:
    """Write one element of a tensor with four significant digits; whole numbers as they are."""
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e6
        return f"{value:.0f}" if whole else f"{value:.4g}"
    return f"{value:.4g}" if isinstance(value, complex) else str(value)

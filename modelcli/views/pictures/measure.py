"""How wide a text is drawn, known beforehand: every picture measures with this one table.

The widths are those of DejaVu Sans, in hundredths of the font's size. It is wider than the fonts
that browsers use by default, so what fits by the table fits there, too.
"""

from __future__ import annotations

from typing import Literal

Face = Literal["plain", "bold", "mono"]

# From the space to the tilde.
_PLAIN = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75,
    79, 60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35,
    63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
)  # fmt: skip
_BOLD = (
    35, 46, 52, 84, 70, 100, 87, 31, 46, 46, 52, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70,
    70, 70, 40, 40, 84, 84, 84, 58, 100, 77, 76, 73, 83, 68, 68, 82, 84, 37, 37, 77, 64, 100, 84,
    85, 73, 85, 77, 72, 68, 81, 77, 110, 77, 72, 73, 46, 37, 46, 84, 50, 50, 67, 72, 59, 72, 68, 44,
    72, 71, 34, 34, 67, 34, 104, 71, 69, 72, 72, 49, 60, 48, 71, 65, 92, 65, 65, 58, 71, 37, 71, 84,
)  # fmt: skip
_MONO, _WIDE, _OTHER = 60.2, 100, 84


def text_width(text: str, size: float, face: Face = "plain") -> float:
    """Return the pixels that a line of text takes at a font size."""
    if face == "mono":
        return sum(_MONO if c < "⺀" else 2 * _MONO for c in text) * size / 100
    table = _PLAIN if face == "plain" else _BOLD
    return sum(_one(character, table) for character in text) * size / 100


def _one(character: str, table: tuple[int, ...]) -> int:
    place = ord(character) - 32
    if 0 <= place < len(table):
        return table[place]
    return _WIDE if character >= "⺀" else _OTHER  # from there on scripts are as wide as high


def cut(text: str, room: float, size: float, face: Face = "plain") -> str:
    """Return a text that fits, with its middle left out if it must be."""
    if text_width(text, size, face) <= room:
        return text
    kept = len(text) - 1
    while kept > 2:
        kept -= 1
        head = (kept + 1) // 2
        shorter = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if text_width(shorter, size, face) <= room:
            return shorter
    return "…"

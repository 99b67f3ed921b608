"""Whole numbers in what people and files write.

Python's own ``int`` raises on a number of more than 4,300 digits, and on characters that only
``str.isdigit`` takes for digits, such as ``²``.
"""

from __future__ import annotations

import re

_WHOLE = re.compile(r"([+-]?)0*(\d+)")
_MOST_DIGITS = 4000


def whole_number(text: str) -> int | None:
    """Return the number that a text is; None where it is anything but a sign and digits.

    Of a number of more than 4,000 digits those are read: it stays above all that it may be held
    against.
    """
    found = _WHOLE.fullmatch(text.strip())
    return int(found[1] + found[2][:_MOST_DIGITS]) if found else None


def fits_int64(value: int) -> bool:
    """Tell whether torch can hold a number in an int64, as it does sizes, ids and seeds."""
    return -(1 << 63) <= value < 1 << 63

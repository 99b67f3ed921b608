"""The grammar of ``--values`` and ``--target``: numbers, a file, or how to make them. No torch.

``1,2,3`` and ``[[1,2],[3,4]]`` are the numbers themselves; ``randn``, ``rand``, ``zeros``, ``ones``
and ``arange`` are torch's functions of these names; a file is one that ``--input`` reads.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.errors import UsageError, did_you_mean
from modelcli.loading.grammar import flat_values, is_even, read_numbers
from modelcli.loading.input_files import SUFFIXES

_LARGEST = 1e300
MAKERS = ("randn", "rand", "zeros", "ones", "arange")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Values as a user described them: one of the three is set.

    Attributes:
        text: as it was typed.
        numbers: nested lists.
        maker: one of ``MAKERS``.
        file: an existing file.
    """

    text: str
    numbers: Any = None
    maker: str | None = None
    file: Path | None = None


def parse_given(text: str, flag: str) -> Given:
    """Read what a flag describes.

    Raises:
        UsageError: no numbers, no maker and no file of that name; or lists of unequal lengths.
    """
    stripped = text.strip()
    if stripped in MAKERS:
        return Given(text=text, maker=stripped)
    if stripped.lower().endswith(SUFFIXES):
        path = Path(stripped)
        if not os.path.isfile(path):
            raise UsageError(
                f"{flag}: file '{stripped}' does not exist", f"it is one of {', '.join(SUFFIXES)}"
            )
        return Given(text=text, file=path)
    numbers = read_numbers(stripped)
    if numbers is None or not all(map(_is_real, flat_values(numbers))):
        hint = did_you_mean(stripped, MAKERS)
        raise UsageError(
            f"{flag} cannot be '{text}'",
            f"{hint}it is numbers as 1,2,3 or [[1,2],[3,4]], a file "
            f"({', '.join(SUFFIXES)}), or {', '.join(MAKERS)}",
        )
    if not is_even(numbers):
        raise UsageError(f"{flag} '{text}' has rows of unequal length", "give each row as many")
    return Given(text=text, numbers=numbers)


def _is_real(value: complex) -> bool:
    return not isinstance(value, complex) and abs(value) < _LARGEST

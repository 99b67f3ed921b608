"""The grammar of ``--values`` and ``--target``: numbers, a file, or how to make them. No torch.

``1,2,3`` and ``[[1,2],[3,4]]`` are the numbers themselves; ``randn``, ``rand``, ``zeros``, ``ones``
and ``arange`` are torch's functions of these names; a file is .npy, .npz, .png or .safetensors.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.errors import UsageError, did_you_mean

MAKERS = ("randn", "rand", "zeros", "ones", "arange")
SUFFIXES = (".npy", ".npz", ".png", ".safetensors")


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
    if stripped.endswith(SUFFIXES):
        path = Path(stripped)
        if not path.is_file():
            raise UsageError(
                f"{flag}: file '{stripped}' does not exist", f"it is one of {', '.join(SUFFIXES)}"
            )
        return Given(text=text, file=path)
    numbers = _numbers(stripped)
    if numbers is None:
        hint = did_you_mean(stripped, MAKERS)
        raise UsageError(
            f"{flag} cannot be '{text}'",
            f"{hint}it is numbers as 1,2,3 or [[1,2],[3,4]], a file "
            f"({', '.join(SUFFIXES)}), or {', '.join(MAKERS)}",
        )
    _shape_of(numbers, text, flag)
    return Given(text=text, numbers=numbers)


def _numbers(text: str) -> Any:
    try:
        value = ast.literal_eval(text if text.startswith("[") else f"[{text}]")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if value and _only_numbers(value) else None


def _only_numbers(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_only_numbers(item) for item in value)
    return isinstance(value, (int, float)) and abs(value) < 1e300


def _shape_of(value: Any, text: str, flag: str) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        return ()
    inner = {_shape_of(item, text, flag) for item in value}
    if len(inner) > 1:
        raise UsageError(f"{flag} '{text}' has rows of unequal length", "give each row as many")
    return (len(value), *(inner.pop() if inner else ()))

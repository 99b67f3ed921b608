"""Along which axes a function lets values depend on one another. Imports no torch."""

from __future__ import annotations

from typing import Any

# Where the axis stands among the positional arguments, if not directly behind the input.
_POSITIONS = {"roll": 2, "norm": 2, "normalize": 2, "vector_norm": 2, "flip": 1}
# What a function does without one, if not all axes at once.
_DEFAULTS = {
    "cat": 0, "concat": 0, "concatenate": 0, "sort": -1, "argsort": -1, "normalize": 1,
    "softmax": -1, "log_softmax": -1, "softmin": -1,
}  # fmt: skip
_NAMES = ("dim", "dims", "axis")


def mixed_axes(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, ...] | None:
    """Return the axes along which a function mixes; None for all of them at once.

    Args:
        name: of a function with the trait ``MIXES``.
        args: what it was called with, the input or inputs first.
    """
    position = _POSITIONS.get(name, 1)
    given = args[position] if len(args) > position else None
    for key in _NAMES:
        given = kwargs.get(key, given)
    if _is_other_operand(given):
        return ()  # max(x, y) goes value by value
    if given is None:
        given = _DEFAULTS.get(name)
    if given is None:
        return None
    found = given if isinstance(given, (tuple, list)) else (given,)
    return tuple(axis for axis in found if isinstance(axis, int))


def _is_other_operand(given: Any) -> bool:
    return given is not None and not isinstance(given, (int, str, tuple, list))

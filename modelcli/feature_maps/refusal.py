"""Refusals: which layer cannot take which input, why, and the smallest input that would do."""

from __future__ import annotations

from collections.abc import Sequence

from modelcli.errors import UsageError


class ShapeError(UsageError):
    """A layer cannot take the shape that reaches it."""


class Refusal(Exception):
    """What stands in the way of a layer, which adds its name and its input.

    Args:
        reason: what does not fit, with the numbers.
        advice: what to change.
        smallest: of one axis, the smallest size that works, None where no size does.
    """

    def __init__(self, reason: str, advice: str = "", *, smallest: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.smallest = smallest
        self.advice = advice


def show_dims(shape: Sequence[int]) -> str:
    """Write a shape as people type it: ``3x224x224``."""
    return "x".join(str(size) for size in shape) or "scalar"


def count_of(number: int, noun: str) -> str:
    """Write a count with its noun: ``1 channel``, ``3 channels``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""The efficient front: the models that no other beats in both of two numbers. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def efficient_front(
    rows: Iterable[T], x: Callable[[T], Any], y: Callable[[T], Any], *, largest_y: bool = False
) -> list[T]:
    """Return the rows of which none other is as good in both and better in one, by ascending x.

    Args:
        rows: those without one of the two numbers are left out.
        x: the number to be small.
        y: the other number.
        largest_y: whether y is to be large.
    """
    sign = -1 if largest_y else 1
    placed = [
        (float(x(row)), sign * float(y(row)), row)
        for row in rows
        if x(row) is not None and y(row) is not None
    ]
    placed.sort(key=lambda place: place[:2])
    front: list[T] = []
    best = float("inf")
    for _, height, row in placed:
        if height < best:
            front.append(row)
            best = height
    return front

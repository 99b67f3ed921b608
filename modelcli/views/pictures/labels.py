"""Names beside dots: each where there is room, none over another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_GAP = 6.0  # from a dot to its name
_CELL = 64.0  # of the grid by which neighbours are found


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Tell whether two rectangles share more than an edge."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Tell whether another rectangle lies inside."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


def place_labels(
    labels: Sequence[tuple[float, float, tuple[float, float]]],
    dots: Sequence[tuple[float, float]],
    within: Box,
) -> list[Box | None]:
    """Return where each name goes, the earlier ones first; None where there is no room.

    Args:
        labels: width, height and the dot of each.
        dots: all dots, none of which a name may cover.
        within: the picture.
    """
    grid = _Grid()
    for x, y in dots:
        grid.add(Box(x - 2, y - 2, x + 2, y + 2))
    found: list[Box | None] = []
    for width, height, (x, y) in labels:
        spots = _spots(width, height, x, y)
        box = next((box for box in spots if within.holds(box) and not grid.meets(box)), None)
        if box is not None:
            grid.add(box)
        found.append(box)
    return found


def _spots(width: float, height: float, x: float, y: float) -> Iterator[Box]:
    half = height / 2
    for left, top in (
        (x + _GAP, y - half),
        (x - _GAP - width, y - half),
        (x - width / 2, y - _GAP - height),
        (x - width / 2, y + _GAP),
        (x + _GAP, y - height - 1),
        (x + _GAP, y + 1),
        (x - _GAP - width, y - height - 1),
        (x - _GAP - width, y + 1),
    ):
        yield Box(left, top, left + width, top + height)


class _Grid:
    """Rectangles by the cells that they touch."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[Box]] = {}

    def add(self, box: Box) -> None:
        for cell in self._touched(box):
            self._cells.setdefault(cell, []).append(box)

    def meets(self, box: Box) -> bool:
        return any(
            box.meets(other) for cell in self._touched(box) for other in self._cells.get(cell, ())
        )

    def _touched(self, box: Box) -> Iterator[tuple[int, int]]:
        for column in range(int(box.left // _CELL), int(box.right // _CELL) + 1):
            for row in range(int(box.top // _CELL), int(box.bottom // _CELL) + 1):
                yield column, row

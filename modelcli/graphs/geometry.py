"""The measures of a layout, and the records that its coordinates come in. All in pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelcli.graphs.ranks import Step

GAP = 26.0  # between ranks, with one track
TRACK = 9.0  # between tracks
LEAD = 10.0  # from a rank to its first track
APART = 20.0  # between boxes
STRAIGHT = 0.25  # an arrow that is less off its line than this has no bend
BEND = 14.0  # what an arrow that passes a rank keeps free


@dataclass(frozen=True, slots=True)
class Size:
    """How large a box is.

    Attributes:
        across: its extent from left to right of the arrows.
        main: its extent along them.
        anchor: where the arrows meet it, from its start across.
        ports: of a group that is open, where each port lies, as ``anchor``.
    """

    across: float
    main: float
    anchor: float
    ports: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of an arrow: points ``(across, main)``, every bend a right angle."""

    step: Step
    points: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Placed:
    """Where everything of one group is; the spine is at 0 across.

    Attributes:
        boxes: of every box, the start of its extents (across, main).
        lines: the arrows.
        across: from where to where anything goes.
        main: how far anything goes; it begins at 0.
    """

    boxes: dict[str, tuple[float, float]]
    lines: list[Line]
    across: tuple[float, float]
    main: float

"""Nested boxes laid out: each open box by itself, from the inside out, then put in its place.

`lay_out` is all that a picture needs: boxes and arrows with coordinates in pixels, plain records.
`views.graph_page.graph_document` gives the same for a page that opens and closes boxes itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, Protocol

from modelcli.graphs.geometry import LEAD, Line, Placed, Size
from modelcli.graphs.hierarchy import ROOT
from modelcli.graphs.place import place
from modelcli.graphs.ranks import Ranks, arrange
from modelcli.graphs.record import Box

Direction = Literal["down", "right"]
HEAD = 26.0  # above the inside of an open box: its title
PAD = 14.0  # around it
PORT = 8.0


class Measure(Protocol):
    """How large things are drawn: it depends on texts and fonts, and so it is asked for."""

    def closed(self, box: Box) -> tuple[float, float]:
        """Return the width and height of a box without its inside."""

    def title(self, box: Box) -> float:
        """Return the width of the line above the inside of an open box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBox:
    """A box in its place.

    Attributes:
        parent: the id of the box around it; None for the model itself, which has no edge.
        depth: how many open boxes are around it, the model itself not counted.
        is_open: whether its inside is drawn.
    """

    box: Box
    parent: str | None
    depth: int
    is_open: bool
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A piece of an arrow inside one open box.

    Attributes:
        source: id of the box or port where the tensor comes from.
        target: id of the box or port that it reaches with this piece; ``""`` if it goes on.
        points: ``(x, y)``; every bend is a right angle.
        head: whether the piece ends at what reads the tensor.
        write: drawn dashed: the source only wrote into memory that the target reads.
    """

    parent: str
    source: str
    target: str
    points: tuple[tuple[float, float], ...]
    head: bool
    write: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Boxes, those around others first, and arrows; all coordinates begin at 0."""

    width: float
    height: float
    boxes: tuple[DrawnBox, ...]
    arrows: tuple[Arrow, ...]


def lay_out(
    root: Box, opened: Collection[str], measure: Measure, *, direction: Direction = "down"
) -> Picture:
    """Return a picture of nested boxes; the same input gives the same picture, to the last bit.

    Args:
        root: what `hierarchy.build_boxes` gave, folded or not.
        opened: ids of the boxes that are drawn with their inside, as `opening.open_boxes` gives.
        measure: how large boxes are.
        direction: where the arrows lead.
    """
    insides: dict[str, _Inside] = {}
    size = _Sizing(opened, measure, direction == "down", insides).size(root)
    drawing = _Drawing(insides, direction == "down")
    drawing.put(root, None, 0, (0.0, 0.0), size)
    across, main = size.across, size.main
    width, height = (across, main) if direction == "down" else (main, across)
    return Picture(
        width=width, height=height, boxes=tuple(drawing.boxes), arrows=tuple(drawing.arrows)
    )


@dataclass(slots=True)
class _Inside:
    """The inside of an open box: where its children lie from its own corner."""

    placed: Placed
    ranks: Ranks
    sizes: dict[str, Size]
    across: float  # from the corner to the spine
    start: float  # along the arrows, before the inside begins
    end: float  # behind it


class _Sizing:
    """Sizes from the inside out."""

    def __init__(
        self, opened: Collection[str], measure: Measure, is_down: bool, insides: dict[str, _Inside]
    ) -> None:
        self.opened = opened
        self.measure = measure
        self.is_down = is_down
        self.insides = insides

    def size(self, box: Box) -> Size:
        if box.is_port:
            return Size(PORT, 0.0, PORT / 2)
        if box.is_group and box.id in self.opened:
            return self._open(box)
        width, height = self.measure.closed(box)
        across, main = (width, height) if self.is_down else (height, width)
        return Size(across, main, across / 2)

    def _open(self, box: Box) -> Size:
        sizes = {child.id: self.size(child) for child in box.children}
        ranks = arrange(box)
        placed = place(ranks, sizes)
        low, high = placed.across
        before, after, start, end = self._around(box, placed)
        across = before - low
        self.insides[box.id] = _Inside(placed, ranks, sizes, across, start, end)
        offsets = {
            child.id: across + placed.boxes[child.id][0] + PORT / 2
            for child in box.children
            if child.is_port
        }
        main = start + placed.main + end
        return Size(before + (high - low) + after, main, across, ports=offsets)

    def _around(self, box: Box, placed: Placed) -> tuple[float, float, float, float]:
        """Return the room around the inside: left and right of the arrows, before and behind."""
        if box.id == ROOT:
            return 0.0, 0.0, 0.0, 0.0
        low, high = placed.across
        title = self.measure.title(box)
        end = 0.0 if box.outs else PAD
        if not self.is_down:  # the title lies left of the arrows, seen along them
            start = 0.0 if box.ins else PAD
            return HEAD + LEAD, PAD, start, max(end, title + 2 * PAD - start - placed.main)
        ports = [placed.boxes[child.id][0] for child in box.children if child.kind == "in"]
        before = max(PAD, title + 2 * PAD - (min(ports) - low)) if ports else PAD
        after = max(PAD, title + 2 * PAD - before - (high - low))
        return before, after, HEAD if box.ins else HEAD + LEAD, end


@dataclass(slots=True)
class _Drawing:
    """Places from the outside in."""

    insides: dict[str, _Inside]
    is_down: bool
    boxes: list[DrawnBox] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def _turn(self, across: float, main: float) -> tuple[float, float]:
        x, y = (across, main) if self.is_down else (main, across)
        return round(x, 2), round(y, 2)

    def put(
        self, box: Box, parent: str | None, depth: int, corner: tuple[float, float], size: Size
    ) -> None:
        """Draw a box whose corner is at ``(across, main)``, and all in it."""
        inside = self.insides.get(box.id)
        x, y = self._turn(*corner)
        width, height = self._turn(size.across, size.main)
        self.boxes.append(
            DrawnBox(
                box=box, parent=parent, depth=depth, is_open=inside is not None, x=x, y=y,
                width=width, height=height,
            )
        )  # fmt: skip
        if inside is None:
            return
        across, main = corner[0] + inside.across, corner[1] + inside.start
        by_id = {child.id: child for child in box.children}
        for id, (at, top) in inside.placed.boxes.items():
            child = by_id[id]
            if not child.is_port:
                deeper = depth + (parent is not None)
                self.put(child, box.id, deeper, (across + at, main + top), inside.sizes[id])
        for line in inside.placed.lines:
            self._put_line(box, by_id, line, (across, main))

    def _put_line(
        self, box: Box, by_id: dict[str, Box], line: Line, corner: tuple[float, float]
    ) -> None:
        inside, step = self.insides[box.id], line.step
        points = list(line.points)
        target = by_id[step.target] if isinstance(step.target, str) else None
        if isinstance(step.source, str) and by_id[step.source].kind == "in":  # from the edge on
            points[0] = (points[0][0], points[0][1] - inside.start)
        if target is not None and target.kind == "out":
            points[-1] = (points[-1][0], points[-1][1] + inside.end)
        is_read = target is not None and not target.is_port and target.id not in self.insides
        self.arrows.append(
            Arrow(
                parent=box.id,
                source=inside.ranks.owner[step.exit],
                target=target.id if target is not None else "",
                points=tuple(self._turn(corner[0] + a, corner[1] + m) for a, m in points),
                head=is_read,
                write=step.write,
            )
        )

"""Which rank every box of one group has, and in which column it stands. Sizes play no part here.

A rank holds *cells*: boxes, and *bends*, where a tensor passes a rank on its way to a later one.
Cells that follow one another down the ranks form a *column*, which is drawn as one straight line.
The longest way from what comes in to what goes out is the *spine*, the column in the middle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from modelcli.graphs.record import Box
from modelcli.graphs.spine import find_spine

Cell = str | tuple[str, int]  # a box's id, or a bend: the exit a tensor left by, and the rank


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of an arrow between cells of neighbouring ranks.

    Attributes:
        exit: where the tensor left its box: the box's id, or of a group one of its ports.
        entry: the port at which it comes into a group; ``""`` elsewhere.
        write: the source only wrote into memory that the target reads.
    """

    source: Cell
    target: Cell
    exit: str
    entry: str = ""
    write: bool = False


@dataclass(slots=True)
class Column:
    """Cells of neighbouring ranks, one below the other.

    Attributes:
        first: rank of the first cell.
        side: -1 left of the spine, 1 right of it, 0 for the spine.
        place: how far out: columns of one side and rank lie in this order.
    """

    first: int
    cells: list[Cell]
    side: int = 0
    place: int = 0

    @property
    def last(self) -> int:
        """Rank of the last cell."""
        return self.first + len(self.cells) - 1

    @property
    def position(self) -> int:
        """The order from left to right."""
        return self.side * self.place

    def ranks(self) -> range:
        """Return the ranks that it passes."""
        return range(self.first, self.last + 1)


@dataclass(slots=True)
class Ranks:
    """The children of one group in their ranks and columns; the spine is the first column.

    Attributes:
        owner: of every exit, the box that it belongs to.
    """

    count: int
    columns: list[Column]
    steps: list[Step]
    owner: Mapping[str, str]
    of_cell: dict[Cell, Column] = field(default_factory=dict)


def arrange(group: Box) -> Ranks:
    """Return ranks and columns of the children of a group."""
    ids = [child.id for child in group.children]
    order = {id: number for number, id in enumerate(ids)}
    links = list(_links(group, order))
    rank = _rank(group, links)
    count = max(rank.values(), default=0) + 1
    steps = _steps(links, rank)
    columns = _columns(group, rank, links, steps)
    ranks = Ranks(count, columns, steps, {link.exit: link.source for link in links})
    ranks.of_cell = {cell: column for column in columns for cell in column.cells}
    _choose_sides(ranks, order)
    _choose_places(ranks)
    return ranks


@dataclass(frozen=True, slots=True)
class _Link:
    source: str
    target: str
    exit: str
    entry: str
    write: bool


def _links(group: Box, order: Mapping[str, int]) -> Iterator[_Link]:
    """Yield the wires between children, those that leave and come in together once."""
    boxes = {child.id: child for child in group.children}
    seen: set[_Link] = set()
    for (source, target), held in group.wires.items():
        if order[source] >= order[target]:  # of threads that ran at the same time
            continue
        for key, wire in held.items():
            exit = boxes[source].outs.get(key, source)
            entry = boxes[target].ins.get(key, "")
            link = _Link(source, target, exit, entry, wire.write)
            if link not in seen:
                seen.add(link)
                yield link


def _rank(group: Box, links: Sequence[_Link]) -> dict[str, int]:
    """Put every box below all that it reads; what reads nothing right above its first reader."""
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for link in links:
        before[link.target].append(link.source)
        after[link.source].append(link.target)
    ports = [child.id for child in group.children if child.kind == "in"]
    first_input = next((child.id for child in group.children if child.kind == "input"), None)
    rank: dict[str, int] = {}
    start = 1 if ports else 0
    for child in group.children:
        least = 0 if child.kind == "in" else start
        rank[child.id] = max((rank[source] + 1 for source in before[child.id]), default=least)
    for child in reversed(group.children):
        is_free = not before[child.id] and child.kind != "in" and child.id != first_input
        if is_free and after[child.id]:
            rank[child.id] = max(min(rank[id] for id in after[child.id]) - 1, rank[child.id])
    last = max((rank[child.id] for child in group.children if child.kind != "out"), default=0)
    for child in group.children:
        if child.kind == "out":
            rank[child.id] = last + 1
    return rank


def _steps(links: Sequence[_Link], rank: Mapping[str, int]) -> list[Step]:
    """Cut every arrow into pieces; what leaves by one exit shares its bends."""
    far: dict[str, int] = {}
    writes: dict[str, bool] = {}
    source_of: dict[str, str] = {}
    for link in links:
        far[link.exit] = max(far.get(link.exit, 0), rank[link.target])
        writes[link.exit] = writes.get(link.exit, True) and link.write
        source_of[link.exit] = link.source
    steps: list[Step] = []
    for exit, last in far.items():
        start = rank[source_of[exit]]
        cells: list[Cell] = [source_of[exit], *((exit, r) for r in range(start + 1, last))]
        steps += [Step(a, b, exit, write=writes[exit]) for a, b in pairwise(cells)]
    for link in links:
        above = rank[link.target] - 1
        source: Cell = link.source if above == rank[link.source] else (link.exit, above)
        steps.append(Step(source, link.target, link.exit, link.entry, link.write))
    return list(dict.fromkeys(steps))


def _columns(
    group: Box, rank: Mapping[str, int], links: Sequence[_Link], steps: Sequence[Step]
) -> list[Column]:
    """Divide the cells into columns: the spine, then from the top what follows one another."""
    below: dict[Cell, list[Cell]] = defaultdict(list)
    for step in steps:
        below[step.source].append(step.target)
    ways = [(link.source, link.target) for link in links if not link.write]
    spine = _spine_cells(find_spine(group, ways), links, rank)
    taken = set(spine)
    columns = [Column(rank[spine[0]] if spine else 0, spine)]  # type: ignore[index]
    cells: list[tuple[int, Cell]] = [(rank[child.id], child.id) for child in group.children]
    bends = {c: None for step in steps for c in (step.source, step.target) if isinstance(c, tuple)}
    cells += [(cell[1], cell) for cell in bends]
    for first, cell in sorted(cells, key=lambda found: found[0]):
        if cell in taken:
            continue
        held = [cell]
        taken.add(cell)
        while True:
            further = _next_of(held[-1], below, taken)
            if further is None:
                break
            held.append(further)
            taken.add(further)
        columns.append(Column(first, held))
    return columns


def _next_of(cell: Cell, below: Mapping[Cell, list[Cell]], taken: set[Cell]) -> Cell | None:
    """Return the cell that goes on below: of a bend its next bend, of a box the next box."""
    free = [c for c in below.get(cell, ()) if c not in taken]
    bends = [c for c in free if isinstance(c, tuple)]
    boxes = [c for c in free if isinstance(c, str)]
    preferred = (bends, boxes) if isinstance(cell, tuple) else (boxes, bends)
    return next((c for found in preferred for c in found), None)


def _spine_cells(way: Sequence[str], links: Sequence[_Link], rank: Mapping[str, int]) -> list[Cell]:
    """Return the boxes of the spine with the bends between them."""
    exits = {(link.source, link.target): link.exit for link in links if not link.write}
    cells: list[Cell] = []
    for box, following in pairwise(way):
        cells.append(box)
        exit = exits[box, following]
        cells += [(exit, r) for r in range(rank[box] + 1, rank[following])]
    return [*cells, *way[-1:]]


def _choose_sides(ranks: Ranks, order: Mapping[str, int]) -> None:
    """Boxes that ran before those of the spine stand left of it, all else right."""
    spine = ranks.columns[0]
    source_of: dict[Cell, Cell] = {}
    for step in ranks.steps:
        source_of.setdefault(step.target, step.source)
    for column in ranks.columns[1:]:
        source = source_of.get(column.cells[0])
        parent = ranks.of_cell[source] if source is not None else spine
        if parent is not spine and parent.side:
            column.side = parent.side
            continue
        column.side = 1
        first = next((c for c in column.cells if isinstance(c, str)), None)
        if first is not None and not isinstance(column.cells[0], tuple):
            at = min(max(column.first, spine.first), spine.last) - spine.first
            beside = next((c for c in spine.cells[at:] if isinstance(c, str)), None)
            if beside is not None and order[first] < order[beside]:
                column.side = -1


def _choose_places(ranks: Ranks) -> None:
    """Short columns stand nearer to the spine, and none nearer than the one it comes from."""
    source_of: dict[Cell, Cell] = {}
    for step in ranks.steps:
        source_of.setdefault(step.target, step.source)
    length: dict[int, int] = {id(ranks.columns[0]): 0}
    ordered: list[tuple[int, int, Column]] = []
    for number, column in enumerate(ranks.columns[1:]):
        source = source_of.get(column.cells[0])
        parent = ranks.of_cell[source] if source is not None else ranks.columns[0]
        above = length.get(id(parent), 0) if parent.side == column.side else 0
        length[id(column)] = max(len(column.cells), above)
        ordered.append((length[id(column)], number, column))
    for place, (_, _, column) in enumerate(sorted(ordered, key=lambda found: found[:2]), 1):
        column.place = place

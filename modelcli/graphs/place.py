"""Coordinates for the children of one group: a straight spine, columns beside it, tracks between.

Two axes: *main* runs along the arrows, *across* from left to right of them. A picture that goes
down has main for y; one that goes to the right has main for x. Arrows bend only between ranks,
each on a track of its own, so that none can cross a box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from modelcli.graphs.geometry import (
    APART,
    BEND,
    GAP,
    LEAD,
    STRAIGHT,
    TRACK,
    Line,
    Placed,
    Size,
)
from modelcli.graphs.ranks import Cell, Column, Ranks, Step


def place(ranks: Ranks, sizes: Mapping[str, Size]) -> Placed:
    """Return coordinates for the children of one group.

    Args:
        ranks: of the group.
        sizes: of every child, those inside it being placed before.
    """
    return _Placing(ranks, sizes).place()


class _Placing:
    def __init__(self, ranks: Ranks, sizes: Mapping[str, Size]) -> None:
        self.ranks = ranks
        self.sizes = sizes
        self.steps: dict[int, list[Step]] = defaultdict(list)  # by the rank they start from
        self.rank_of: dict[Cell, int] = {}
        for column in ranks.columns:
            self.rank_of.update(zip(column.cells, column.ranks(), strict=True))
        for step in ranks.steps:
            self.steps[self.rank_of[step.source]].append(step)
        self.tops = [0.0] * ranks.count
        self.ends = [0.0] * ranks.count
        self.main: dict[str, float] = {}  # where boxes start along the arrows
        self.covered: dict[Cell, str] = {}  # bends beside which a tall box reaches down
        self.across: dict[int, float] = {}

    def place(self) -> Placed:
        loose = self._find_loose()
        self._stack(loose)
        self._cover(loose)
        left, right = self._pack()
        boxes = {
            cell: (self._at(cell) - self.sizes[cell].anchor, self.main[cell])
            for cell in self.rank_of
            if isinstance(cell, str)
        }
        lines = [line for rank in range(self.ranks.count) for line in self._route(rank)]
        return Placed(boxes, lines, (left, right), max(self.ends, default=0.0))

    def _at(self, cell: Cell) -> float:
        return self.across[id(self.ranks.of_cell[cell])]

    # along the arrows

    def _find_loose(self) -> dict[str, int]:
        """Return the boxes beside the spine that may reach down beside later ranks, and how far.

        Their arrows go on as bends below them, in the same column, and no other arrow passes
        from one side of it to the other.
        """
        found: dict[str, int] = {}
        for column in self.ranks.columns[1:]:
            for number, cell in enumerate(column.cells):
                if not isinstance(cell, str):
                    continue
                until = column.first + number
                for below in column.cells[number + 1 :]:
                    if not isinstance(below, tuple) or self.ranks.owner[below[0]] != cell:
                        break
                    if not self._is_free(column, until):
                        break
                    until += 1
                if until > column.first + number:
                    found[cell] = until
        return found

    def _is_free(self, column: Column, rank: int) -> bool:
        """Tell whether between a rank and the next nothing starts in a column or passes it."""
        mine = column.position
        for step in self.steps[rank]:
            a = self.ranks.of_cell[step.source].position - mine
            b = self.ranks.of_cell[step.target].position - mine
            if (a == 0) != (b == 0) or a * b < 0:
                return False
        return True

    def _stack(self, loose: Mapping[str, int]) -> None:
        ending: dict[int, list[str]] = defaultdict(list)
        by_rank: dict[int, list[str]] = defaultdict(list)
        for cell, rank in self.rank_of.items():
            if isinstance(cell, str):
                by_rank[rank].append(cell)
        for box, until in loose.items():
            ending[until].append(box)
        top = 0.0
        for rank in range(self.ranks.count):
            fixed = [box for box in by_rank[rank] if box not in loose]
            # A rank of loose boxes alone still needs the height of the smallest.
            high = max((self.sizes[box].main for box in fixed), default=0.0)
            self.tops[rank] = top
            for box in by_rank[rank]:
                slack = 0.0 if box in loose else (high - self.sizes[box].main) / 2
                self.main[box] = top + slack
            end = top + high
            for box in ending[rank]:
                end = max(end, self.main[box] + self.sizes[box].main)
            self.ends[rank] = end
            top = end + self._gap(rank)

    def _gap(self, rank: int) -> float:
        if rank == self.ranks.count - 1:
            return 0.0
        return GAP + TRACK * max(0, len(self._nets(rank)) - 1)

    def _cover(self, loose: Mapping[str, int]) -> None:
        for box, until in loose.items():
            column = self.ranks.of_cell[box]
            bottom = self.main[box] + self.sizes[box].main
            for rank in range(self.rank_of[box] + 1, until + 1):
                if self.tops[rank] < bottom + LEAD:
                    self.covered[column.cells[rank - column.first]] = box

    # from left to right

    def _extent(self, cell: Cell) -> tuple[float, float]:
        """Return how far a cell reaches to the left and to the right of its column."""
        box = self.covered.get(cell, cell)
        if isinstance(box, tuple):
            return BEND / 2, BEND / 2
        size = self.sizes[box]
        return size.anchor, size.across - size.anchor

    def _pack(self) -> tuple[float, float]:
        """Put the columns beside one another, from the spine outwards."""
        edge = {side: [0.0] * self.ranks.count for side in (-1, 1)}
        used = [False] * self.ranks.count
        low, high = 0.0, 0.0
        for column in sorted(self.ranks.columns, key=lambda found: found.place):
            at = 0.0
            for rank, cell in zip(column.ranks(), column.cells, strict=True):
                if not column.side:
                    break
                inner = self._extent(cell)[0 if column.side > 0 else 1]
                apart = self._apart(cell) if used[rank] else 0.0
                at = max(at, edge[column.side][rank] + apart + inner)
            if column.side:
                at = self._clear(column, at)
            self.across[id(column)] = at * column.side
            for rank, cell in zip(column.ranks(), column.cells, strict=True):
                left, right = self._extent(cell)
                used[rank] = True
                low, high = min(low, at * column.side - left), max(high, at * column.side + right)
                for side in (column.side,) if column.side else (-1, 1):
                    outer = right if side > 0 else left
                    edge[side][rank] = max(edge[side][rank], at + outer)
        return low, high

    def _clear(self, column: Column, at: float) -> float:
        """Move a column outwards until no line that ends right above it, or begins below, meets it.

        One would be read as going on in the other.
        """
        taken = sorted(
            abs(self.across[id(other)])
            for other in self.ranks.columns[1:]
            if id(other) in self.across
            and other.side == column.side
            and (other.first == column.last + 1 or other.last == column.first - 1)
        )
        for x in taken:
            if abs(x - at) < BEND - STRAIGHT:
                at = x + BEND
        return at

    def _apart(self, cell: Cell) -> float:
        return APART if isinstance(self.covered.get(cell, cell), str) else APART / 2

    # arrows

    def _is_drawn(self, step: Step) -> bool:
        return step.target not in self.covered

    def _nets(self, rank: int) -> dict[str, list[Step]]:
        """Return the steps from one rank that may have to bend, those together that share a track.

        Arrows that leave one exit share one; so do those that go nowhere but to one entry.
        """
        bent = [
            step
            for step in self.steps[rank]
            if self.ranks.of_cell[step.source] is not self.ranks.of_cell[step.target]
            or abs(self._offset(step.source, step.exit) - self._offset(step.target, step.entry))
            >= STRAIGHT
        ]
        targets: dict[str, set[tuple[Cell, str]]] = defaultdict(set)
        for step in bent:
            targets[step.exit].add((step.target, step.entry))
        nets: dict[str, list[Step]] = defaultdict(list)
        for step in bent:
            is_single = len(targets[step.exit]) == 1 and isinstance(step.target, str)
            name = f"to {step.target} {step.entry}" if is_single else f"from {step.exit}"
            nets[name].append(step)
        return nets

    def _start(self, step: Step) -> tuple[float, float]:
        cell = step.source
        box = self.covered.get(cell, cell)
        if isinstance(box, tuple):
            return self._at(cell), self.tops[self.rank_of[cell]]
        return self._at(cell) + self._offset(box, step.exit), self.main[box] + self.sizes[box].main

    def _end(self, step: Step) -> tuple[float, float]:
        cell = step.target
        if isinstance(cell, tuple):
            return self._at(cell), self.tops[self.rank_of[cell]]
        return self._at(cell) + self._offset(cell, step.entry), self.main[cell]

    def _offset(self, cell: Cell, port: str) -> float:
        """Return how far from its column an arrow leaves a cell, or comes into it."""
        if isinstance(cell, tuple):
            return 0.0
        size = self.sizes[cell]
        return (size.ports or {}).get(port, size.anchor) - size.anchor

    def _route(self, rank: int) -> list[Line]:
        """Lead the arrows from one rank to the next: straight down, or along a track."""
        drawn = [step for step in self.steps[rank] if self._is_drawn(step)]
        track = self._tracks(rank)
        lines = []
        for step in drawn:
            start, end = self._start(step), self._end(step)
            if abs(start[0] - end[0]) < STRAIGHT:
                points: tuple[tuple[float, float], ...] = (start, (start[0], end[1]))
            else:
                level = self.ends[rank] + LEAD + TRACK * track[step]
                if step.source in self.covered:  # its tall box may end below the rank
                    level = max(level, start[1] + LEAD / 2)
                points = (start, (start[0], level), (end[0], level), end)
            lines.append(Line(step, points))
        return lines

    def _tracks(self, rank: int) -> dict[Step, int]:
        """Choose tracks so that arrows of different origin never lie on one another."""
        spans = []
        for number, steps in enumerate(self._nets(rank).values()):
            drawn = [step for step in steps if self._is_drawn(step)]
            ends = [at for step in drawn for at in (self._start(step)[0], self._end(step)[0])]
            if ends and max(ends) - min(ends) >= STRAIGHT:
                middle = sum(self._end(step)[0] - self._start(step)[0] for step in drawn)
                from_ = self._start(drawn[0])[0]
                spans.append((middle < 0, from_ if middle < 0 else -from_, number, ends, drawn))
        taken: list[list[tuple[float, float]]] = []
        found: dict[Step, int] = {}
        for _, _, _, ends, drawn in sorted(spans, key=lambda span: span[:3]):
            low, high = min(ends) - BEND / 2, max(ends) + BEND / 2
            level = max(
                (n + 1 for n, held in enumerate(taken) for a, b in held if a < high and low < b),
                default=0,
            )
            while len(taken) <= level:
                taken.append([])
            taken[level].append((low, high))
            found.update(dict.fromkeys(drawn, level))
        return found

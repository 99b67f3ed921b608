"""Arrows between what is seen: from box to box, through the ports of what is open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from modelcli.graphs.record import Box, Wire


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow between two boxes that are drawn without their inside."""

    source: str
    target: str
    wire: Wire


def visible_edges(root: Box, opened: Collection[str]) -> list[Edge]:
    """Return the arrows of a picture in which these boxes are open, each once."""
    return list(dict.fromkeys(_Edges(root, opened).all()))


class _Edges:
    def __init__(self, root: Box, opened: Collection[str]) -> None:
        self.opened = opened
        self.groups: list[Box] = []
        self.around: dict[str, Box] = {}
        self.boxes: dict[str, Box] = {}
        self.leaving: dict[tuple[str, str], list[tuple[str, str, Wire]]] = defaultdict(list)
        self._enter(root)

    def _enter(self, group: Box) -> None:
        stack = [group]
        while stack:
            box = stack.pop()
            self.groups.append(box)
            for child in box.children:
                self.around[child.id] = box
                self.boxes[child.id] = child
                if self._is_open(child):
                    stack.append(child)
            for (source, target), held in box.wires.items():
                for key, wire in held.items():
                    self.leaving[box.id, source].append((target, key, wire))

    def _is_open(self, box: Box) -> bool:
        return box.is_group and box.id in self.opened

    def all(self) -> Iterator[Edge]:
        for group in self.groups:
            for child in group.children:
                if child.is_port or self._is_open(child):
                    continue
                for target, key, wire in self.leaving[group.id, child.id]:
                    for end in self._ends(group, target, key):
                        yield Edge(child.id, end, wire)

    def _ends(self, group: Box, target: str, key: str) -> Iterator[str]:
        """Yield what a tensor reaches in the end, through edges of boxes."""
        box = self.boxes[target]
        if box.kind == "out":
            outer = self.around.get(group.id)
            if outer is None:
                return
            for further, other, _ in self.leaving[outer.id, group.id]:
                if group.outs.get(other) == target:
                    yield from self._ends(outer, further, other)
        elif self._is_open(box):
            port = box.ins.get(key)
            for further, other, _ in self.leaving[box.id, port or ""]:
                yield from self._ends(box, further, other)
        else:
            yield target

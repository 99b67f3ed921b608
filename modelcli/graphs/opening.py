"""Which boxes are open, so that a picture shows much and can still be read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from modelcli.graphs.record import Box

Opening = Literal["once", "all", "none"]
BUDGET = 60  # boxes that a picture shows unless more are asked for
LARGEST = 1_500  # boxes that it shows at most
DEEPEST = 100  # levels that are open at most; a model that calls itself has a thousand
_CONTAINERS = frozenset(("Sequential", "ModuleList", "ModuleDict"))


def open_boxes(
    root: Box,
    how: Opening | Collection[str] = "once",
    *,
    depth: int | None = None,
    budget: int = BUDGET,
) -> frozenset[str]:
    """Return the ids of the boxes that are drawn with their inside.

    Args:
        root: the boxes, folded or not.
        how: ``once`` opens each class of block at its first occurrence while the budget lasts,
            ``all`` whatever can be opened, ``none`` nothing; ids open these and what is around.
        depth: levels that may be open; None for all.
        budget: how many boxes ``once`` may show; ``all`` stops at `LARGEST`.
    """
    if how == "none":
        return frozenset({root.id, *_frames(root)})
    chosen = None if isinstance(how, str) else _with_ancestors(root, how)
    limit = budget if how == "once" else LARGEST
    opened, seen, shown = {root.id}, set[str](), _count(root)
    level, deep = [root], 1
    while level and deep < DEEPEST and (depth is None or deep < depth or chosen is not None):
        below: list[Box] = []
        for box in level:
            for child in box.boxes():
                if not child.is_group:
                    continue
                wanted = _is_wanted(child, how, chosen, seen)
                if wanted and (shown + _count(child) <= limit or chosen is not None):
                    opened.add(child.id)
                    shown += _count(child)
                    below.append(child)
                    seen.add(child.type)
        level, deep = below, deep + 1
    return frozenset(opened)


def is_layer(box: Box) -> bool:
    """Tell whether a group reads as one layer: a single function in it, or a normalisation.

    transformers' ``Conv1D`` is one: an ``addmm`` among reshapes.
    """
    if box.kind not in ("module", "op"):
        return False
    inside = list(box.boxes())
    if any(child.is_group for child in inside):
        return False
    return len(inside) == 1 or (box.family == "norm" and bool(inside))


def _is_wanted(
    box: Box, how: Opening | Collection[str], chosen: set[str] | None, seen: set[str]
) -> bool:
    if box.kind == "frame":
        return True
    if chosen is not None:
        return box.id in chosen
    if how == "all":
        return True
    if box.kind == "part" or is_layer(box):
        return False
    return box.type not in seen or box.type in _CONTAINERS


def _count(box: Box) -> int:
    return sum(1 for _ in box.boxes())


def _frames(root: Box) -> Iterable[str]:
    return (child.id for child in root.boxes() if child.kind == "frame")


def _with_ancestors(root: Box, ids: Collection[str]) -> set[str]:
    """Return ids, and those of all that is around them."""
    found: set[str] = set()
    stack: list[tuple[Box, tuple[str, ...]]] = [(root, ())]
    while stack:
        box, above = stack.pop()
        way = (*above, box.id)
        if box.id in ids:
            found.update(way)
        stack.extend((child, way) for child in box.boxes())
    return found

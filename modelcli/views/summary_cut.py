"""Which rows of a summary are shown, and in which order: by depth, sorted, the first, folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelcli.tracing.record import Node, Trace
from modelcli.views.summary_fold import Repeat, find_repeats

DEFAULT_DEPTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What of a summary is shown; no total depends on it.

    Attributes:
        depth: the deepest level shown; None shows all.
        plumbing: also show the functions that only move or cast data, and what was counted.
        columns: names of the columns in their order; None shows the usual ones.
        sort: the column by which the rows that have no others below them are listed; None keeps
            the tree.
        ascending: sort from the smallest on.
        top: how many of the sorted rows are shown; None shows all.
        fold: write equal neighbouring blocks once, with their count.
    """

    depth: int | None = DEFAULT_DEPTH
    plumbing: bool = False
    columns: tuple[str, ...] | None = None
    sort: str | None = None
    ascending: bool = False
    top: int | None = None
    fold: bool = False


USUAL = Cut()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The rows of one summary.

    Attributes:
        trace: what they are rows of.
        nodes: the rows, in the order in which they are shown.
        hidden: indices of the rows whose inside is not shown.
        repeats: of a row that stands for several equal blocks, which.
        counts: how many times the work of a row is done by its like, where that is not once.
        is_list: the rows are sorted and no tree.
    """

    trace: Trace
    nodes: tuple[Node, ...]
    hidden: frozenset[int] = frozenset()
    repeats: Mapping[int, Repeat] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    is_list: bool = False

    def label(self, node: Node) -> str:
        """Return the last part of a row's path; of folded blocks the first, the last, how many."""
        repeat = self.repeats.get(node.index)
        return f"{repeat.label} x {repeat.count}" if repeat else node.name or self.trace.model_type

    def full_label(self, node: Node) -> str:
        """Return a row's whole path, with what was folded on the way to it in braces."""
        parts: list[str] = []
        count = self.counts.get(node.index, 1)
        for step in self._way_to(node):
            repeat = self.repeats.get(step.index)
            parts.append(f"{{{repeat.label}}}" if repeat else own_part(self.trace, step))
        path = ".".join(part for part in parts if part)
        return (path or self.trace.model_type) + (f" x {count}" if count > 1 else "")

    def _way_to(self, node: Node) -> list[Node]:
        way = [node]
        while way[-1].parent is not None:
            way.append(self.trace.nodes[way[-1].parent])
        return way[::-1]


def own_part(trace: Trace, node: Node) -> str:
    """Return what a row adds to its parent's path: ``h.0`` where a list lies between."""
    parent = "" if node.parent is None else trace.nodes[node.parent].path
    return node.path.removeprefix(f"{parent}.") if parent else node.path


def select(trace: Trace, cut: Cut) -> Shown:
    """Return the rows that a cut leaves, as a tree or, where it is to be sorted, as a list.

    A list is not in its order yet: what to sort by is a column.
    """
    repeats = find_repeats(trace) if cut.fold else {}
    folded_away = {index for repeat in repeats.values() for index in repeat.others}
    kept: list[Node] = []
    gone: set[int] = set()
    for node in trace.nodes:
        if (
            node.parent in gone
            or node.index in folded_away
            or (node.plumbing and not cut.plumbing)
            or (cut.depth is not None and node.depth > cut.depth)
        ):
            gone.add(node.index)
        else:
            kept.append(node)
    visible = {node.index for node in kept}
    hidden = frozenset(
        node.parent
        for node in trace.nodes
        if node.parent in visible
        and node.index not in visible | folded_away
        and not node.plumbing
        and node.parent is not None
    )
    shown = Shown(
        trace=trace,
        nodes=tuple(kept),
        hidden=hidden,
        repeats={index: repeat for index, repeat in repeats.items() if index in visible},
        counts=dict(_count_blocks(trace, repeats)),
    )
    return replace(shown, nodes=_ends(kept), is_list=True) if cut.sort or cut.top else shown


def _count_blocks(trace: Trace, repeats: Mapping[int, Repeat]) -> Iterator[tuple[int, int]]:
    counts: dict[int, int] = {}
    for node in trace.nodes:
        above = 1 if node.parent is None else counts[node.parent]
        repeat = repeats.get(node.index)
        counts[node.index] = above * (repeat.count if repeat else 1)
        if counts[node.index] > 1:
            yield node.index, counts[node.index]


def _ends(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the rows below which no other is shown: together they are the model, once."""
    parents = {node.parent for node in nodes}
    return tuple(node for node in nodes if node.index not in parents)


def running_macs(shown: Shown) -> dict[int, int]:
    """Return the MACs of each row with all rows listed before it.

    In a tree a row stands for all that is below it, and ends where that ends. What a module does
    itself, beside what has rows, comes with its beginning.
    """
    trace = shown.trace
    if shown.is_list:
        total = 0
        sums = {}
        for node in shown.nodes:
            total += node.macs * shown.counts.get(node.index, 1)
            sums[node.index] = total
        return sums
    below: dict[int | None, int] = {}
    for node in trace.nodes:
        below[node.parent] = below.get(node.parent, 0) + node.macs
    visible = {node.index for node in shown.nodes}
    parents = {node.parent for node in shown.nodes}
    sums = {}
    total = 0
    for node in shown.nodes:
        own = node.macs - (below.get(node.index, 0) if node.index in parents else 0)
        total += own * shown.counts.get(node.index, 1)
        sums[node.index] = total
    for node in reversed(shown.nodes):
        parent = node.parent
        if parent in visible and parent is not None:
            sums[parent] = max(sums[parent], sums[node.index])
    return sums

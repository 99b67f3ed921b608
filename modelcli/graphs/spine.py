"""The way through a group that is drawn as one straight line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from modelcli.graphs.record import Box


def find_spine(group: Box, ways: Sequence[tuple[str, str]]) -> list[str]:
    """Return the longest way from the first that comes in to the first that goes out.

    Of ways that are equally long it is the one in the middle.

    Args:
        group: whose children are meant.
        ways: from which child to which a tensor goes.
    """
    weight = {child.id: _weigh(child) for child in group.children}
    before: dict[str, dict[str, None]] = defaultdict(dict)
    for source, target in ways:
        before[target][source] = None
    starts = [child.id for child in group.children if child.kind in ("in", "input")]
    ends = [child.id for child in group.children if child.kind in ("out", "output")]
    for start in starts:
        longest = _longest_from({start}, group, before, weight)
        for end in ends:
            if end in longest:
                return _way_to(end, longest)
    longest = _longest_from({child.id for child in group.children}, group, before, weight)
    last = max(longest, key=lambda id: longest[id][0], default=None)
    return _way_to(last, longest) if last is not None else []


_Way = dict[str, tuple[int, str | None]]


def _longest_from(
    starts: set[str],
    group: Box,
    before: Mapping[str, Mapping[str, None]],
    weight: Mapping[str, int],
) -> _Way:
    """Return of every box that can be reached how long the longest way is, and what is before."""
    longest: _Way = {}
    for child in group.children:
        ways = [source for source in before.get(child.id, ()) if source in longest]
        if ways:
            most = max(longest[source][0] for source in ways)
            equal = [source for source in ways if longest[source][0] == most]
            longest[child.id] = (most + weight[child.id], equal[len(equal) // 2])
        elif child.id in starts:
            longest[child.id] = (weight[child.id], None)
    return longest


def _way_to(last: str, longest: _Way) -> list[str]:
    way: list[str] = []
    at: str | None = last
    while at is not None:
        way.append(at)
        at = longest[at][1]
    return way[::-1]


def _weigh(box: Box) -> int:
    return min(sum(1 for inner in box.walk() if not inner.is_group), 50) if box.is_group else 1

"""Boxes put together in one, and boxes taken out, with the wires led anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelcli.graphs.record import Box, Wire


def enclose(parent: Box, members: list[Box], frame: Box) -> None:
    """Put neighbouring children of a box into a new one; wires across its edge get ports."""
    inside = {box.id for box in members}
    first = parent.children.index(members[0])
    parent.children = [child for child in parent.children if child.id not in inside]
    parent.children.insert(first, frame)
    frame.children = list(members)
    wires, parent.wires = parent.wires, {}
    for (source, target), held in wires.items():
        for key, wire in held.items():
            _lead(parent, frame, inside, (source, target), key, wire)
    frame.children.sort(key=lambda child: (child.kind == "out", child.kind != "in"))


def _lead(
    parent: Box, frame: Box, inside: set[str], ends: tuple[str, str], key: str, wire: Wire
) -> None:
    source, target = ends
    if source in inside and target in inside:
        frame.connect(source, target, key, wire)
        return
    if target in inside:
        port, _ = frame.port("in", key)
        frame.connect(port, target, key, wire)
        target = frame.id
    elif source in inside:
        port, _ = frame.port("out", key)
        frame.connect(source, port, key, wire)
        source = frame.id
    parent.connect(source, target, key, wire)


def replace_children(parent: Box, stands_in: Mapping[str, str], gone: Iterable[str]) -> None:
    """Take children out; the wires of each go to the one that stands in for it.

    Wires between one that goes and another that goes, or stays in its place, go too.
    """
    dropped = set(gone)
    parent.children = [child for child in parent.children if child.id not in dropped]
    wires, parent.wires = parent.wires, {}
    kept = set(stands_in.values())
    for (source, target), held in wires.items():
        new_source, new_target = stands_in.get(source, source), stands_in.get(target, target)
        is_changed = new_source != source or new_target != target
        if is_changed and new_source in kept and new_target in kept:
            continue
        parent.wires.setdefault((new_source, new_target), {}).update(held)

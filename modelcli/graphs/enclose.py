"""Boxes put together in one, and boxes taken out, with the wires led anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from modelcli.graphs.record import Box, Wire


def enclose(parent: Box, frames: Sequence[tuple[Box, list[Box]]]) -> None:
    """Put neighbouring children of a box into new ones; wires across their edges get ports.

    Args:
        parent: whose children they are.
        frames: each new box with the children that go into it, in their order.
    """
    around = {box.id: frame for frame, members in frames for box in members}
    firsts = {members[0].id: frame for frame, members in frames}
    children, parent.children = parent.children, []
    for child in children:
        if child.id in firsts:
            parent.children.append(firsts[child.id])
        elif child.id not in around:
            parent.children.append(child)
    for frame, members in frames:
        frame.children = list(members)
    wires, parent.wires = parent.wires, {}
    for (source, target), held in wires.items():
        outer, inner = around.get(source), around.get(target)
        for key, wire in held.items():
            _lead(parent, outer, inner, (source, target), key, wire)
    for frame, _ in frames:
        frame.sort_children()


def _lead(
    parent: Box,
    outer: Box | None,
    inner: Box | None,
    ends: tuple[str, str],
    key: str,
    wire: Wire,
) -> None:
    """Lead a wire out of one new box and into another."""
    source, target = ends
    if outer is inner and outer is not None:
        outer.connect(source, target, key, wire)
        return
    if inner is not None:
        port, _ = inner.port("in", key)
        inner.connect(port, target, key, wire)
        target = inner.id
    if outer is not None:
        port, _ = outer.port("out", key)
        outer.connect(source, port, key, wire)
        source = outer.id
    parent.connect(source, target, key, wire)


def drop_children(
    parent: Box, stands_in: Mapping[str, str], gone: Collection[str], leads: Mapping[str, str]
) -> None:
    """Take children out that others stand in for, as the last of several that are alike.

    Args:
        parent: whose children they are.
        stands_in: of the last of those that go, which one stays: what leaves the one that goes
            leaves the one that stays, unless it reaches the same already.
        gone: ids of all that go.
        leads: what is reached by a port, by name.
    """
    parent.children = [child for child in parent.children if child.id not in gone]
    wires, parent.wires = parent.wires, {}
    reached: dict[str, set[str]] = defaultdict(set)
    for (source, target), held in wires.items():
        if source not in gone and target not in gone:
            parent.wires[source, target] = held
            reached[source].add(leads.get(target, target))
    for (source, target), held in wires.items():
        kept = stands_in.get(source)
        if kept is None or target in gone or target == kept:
            continue
        if leads.get(target, target) not in reached[kept]:
            parent.wires.setdefault((kept, target), {}).update(held)


def prune(root: Box) -> None:
    """Take ports out that nothing inside reaches or reads any more, and the wires beyond them."""
    around = {child.id: box for box in root.walk() for child in box.boxes()}
    for box in reversed(list(root.walk())):
        fed = {target for _, target in box.wires}
        read = {source for source, _ in box.wires}
        outer = around.get(box.id)
        for held, alive in ((box.outs, fed), (box.ins, read)):
            dead = {key for key, port in held.items() if port not in alive}
            for key in dead:
                del held[key]
            if dead and outer is not None:
                _unwire(outer, box.id, dead, is_source=held is box.outs)
        ports = {*box.ins.values(), *box.outs.values()}
        box.children = [c for c in box.children if not c.is_port or c.id in ports]


def _unwire(outer: Box, id: str, keys: set[str], *, is_source: bool) -> None:
    for ends in [ends for ends in outer.wires if ends[0 if is_source else 1] == id]:
        held = outer.wires[ends]
        for key in keys & held.keys():
            del held[key]
        if not held:
            del outer.wires[ends]

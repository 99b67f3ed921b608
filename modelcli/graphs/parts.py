"""A group with more boxes than anybody can look at, divided into parts that can be opened."""

from __future__ import annotations

from collections import Counter

from modelcli.graphs.enclose import enclose
from modelcli.graphs.record import Box

MOST_CHILDREN = 300
MOST_PORTS = 12


def divide(root: Box) -> None:
    """Put the children of large groups into parts of neighbours, in place; let ports be few."""
    for box in list(root.walk()):
        _divide(box)
    for box in root.walk():
        if box.is_group:
            _merge_ports(box)


def _divide(box: Box) -> None:
    boxes = [child for child in box.boxes() if child.kind not in ("input", "output")]
    if len(boxes) <= MOST_CHILDREN:
        return
    count = min(max(len(boxes) // MOST_CHILDREN, 2) + 1, 40)
    size = -(-len(boxes) // count)
    parts: list[tuple[Box, list[Box]]] = []
    for number, start in enumerate(range(0, len(boxes), size), 1):
        members = boxes[start : start + size]
        part = Box(
            id=f"{box.id}p{number}", kind="part", name=f"{members[0].name} … {members[-1].name}",
            type=_describe(members), family="group",
            params=sum(m.params * m.repeat for m in members),
            row_params=sum(m.row_params * m.repeat for m in members),
            macs=sum(m.macs * m.repeat for m in members),
            output_bytes=members[-1].output_bytes, output_shapes=members[-1].output_shapes,
            input_shapes=members[0].input_shapes,
            names=tuple(name for m in members for name in m.names),
        )  # fmt: skip
        parts.append((part, members))
    enclose(box, parts)
    for part, _ in parts:
        _divide(part)


def _describe(members: list[Box]) -> str:
    """Return how many of what: ``1,250 boxes: 625 Linear, 625 ReLU``."""
    kinds = Counter(box.type for box in members).most_common(3)
    listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
    return f"{len(members):,} boxes: {listed}"


def _merge_ports(box: Box) -> None:
    """Let tensors of a group share a port where there are too many to be told apart."""
    for side, held in (("in", box.ins), ("out", box.outs)):
        ports = list(dict.fromkeys(held.values()))
        if len(ports) <= MOST_PORTS:
            continue
        merged = dict.fromkeys(ports, ports[0])
        held.update(dict.fromkeys(held, ports[0]))
        gone = set(ports[1:])
        box.children = [child for child in box.children if child.id not in gone]
        wires, box.wires = box.wires, {}
        for (source, target), wire in wires.items():
            ends = (merged.get(source, source), target) if side == "in" else (
                source, merged.get(target, target))  # fmt: skip
            box.wires.setdefault(ends, {}).update(wire)

"""Equal blocks that follow one another in a model, found to be written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelcli.numerals import whole_number
from modelcli.tracing.record import Node, Trace

_LONGEST_PERIOD = 2  # swin has two kinds of blocks in turn; longer ones would hide more than tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """A row that stands for several equal blocks.

    Attributes:
        label: the names of the blocks: ``0 ... 11``, ``0, 1``, or ``1, 3 ... 11``.
        count: how many they are.
        others: indices of the rows of the others.
        last_path: the path of the last one.
    """

    label: str
    count: int
    others: tuple[int, ...]
    last_path: str


def find_repeats(trace: Trace) -> dict[int, Repeat]:
    """Find the blocks that are equal to those before them, by the index of the first.

    Equal are neighbours whose names are numbers in a row and whose whole inside agrees: types,
    shapes, parameters, costs and the names below. A tensor that is shared with another place sets
    a block apart.
    """
    children: dict[int | None, list[Node]] = {}
    for node in trace.nodes:
        children.setdefault(node.parent, []).append(node)
    kinds = _number_kinds(trace, children)
    found: dict[int, Repeat] = {}
    for siblings in children.values():
        for run in _runs_of_blocks(siblings):
            _find_in(run, kinds, found)
    return found


def _number_kinds(trace: Trace, children: dict[int | None, list[Node]]) -> dict[int, int]:
    """Give equal subtrees the same number."""
    numbers: dict[object, int] = {}
    kinds: dict[int, int] = {}
    for node in reversed(trace.nodes):  # children come after their parents
        below = tuple((child.name, kinds[child.index]) for child in children.get(node.index, ()))
        is_shared = node.shared_with is not None or node.tied_params > 0
        kind = (
            node.kind, node.type, node.calls, node.input_shapes, node.output_shapes, node.params,
            node.own_params, node.trainable_params, node.buffers, node.macs, node.flops,
            node.backward_flops, node.executed, tuple(node.uncounted.items()), below,
            node.index if is_shared else None,
        )  # fmt: skip
        kinds[node.index] = numbers.setdefault(kind, len(numbers))
    return kinds


def _runs_of_blocks(siblings: Sequence[Node]) -> list[list[Node]]:
    """Return the runs of siblings that are modules with consecutive numbers for names."""
    runs: list[list[Node]] = []
    for node in siblings:
        if node.kind != "module" or not node.name.isdecimal():
            continue
        follows = runs and _number(node) == _number(runs[-1][-1]) + 1
        if follows:
            runs[-1].append(node)
        else:
            runs.append([node])
    return runs


def _number(block: Node) -> int:
    return whole_number(block.name) or 0


def _find_in(run: Sequence[Node], kinds: dict[int, int], found: dict[int, Repeat]) -> None:
    at = 0
    while at < len(run):
        period, count = _longest(run, kinds, at)
        if count > 1:
            for turn in range(period):
                blocks = run[at + turn : at + period * count : period]
                found[blocks[0].index] = Repeat(
                    label=_label(blocks),
                    count=count,
                    others=tuple(block.index for block in blocks[1:]),
                    last_path=blocks[-1].path,
                )
        at += period * count


def _longest(run: Sequence[Node], kinds: dict[int, int], at: int) -> tuple[int, int]:
    """Return with which period, and how often, the blocks from ``at`` on repeat."""
    for period in range(1, _LONGEST_PERIOD + 1):
        count = 1
        first = [kinds[node.index] for node in run[at : at + period]]
        while [kinds[n.index] for n in run[at + period * count :][:period]] == first:
            count += 1
        if count > 1:
            return period, count
    return 1, 1


def _label(blocks: Sequence[Node]) -> str:
    names = [block.name for block in blocks]
    if len(names) == 2:
        return f"{names[0]}, {names[1]}"
    steps = _number(blocks[1]) - _number(blocks[0])
    start = names[0] if steps == 1 else f"{names[0]}, {names[1]}"
    return f"{start} ... {names[-1]}"

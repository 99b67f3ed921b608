"""From the times of calls to rows that add up, joined to the trace by path. Imports no torch.

A layer's own time is its row. A module that calls others, or functions, has time of its own too:
that is divided among the functions in it, in the proportions of a second kind of pass in which
functions are marked as well, and the rest of it lies between layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelcli.machine.record import Ceilings
from modelcli.timing.bound import Floors, find_floors
from modelcli.timing.named import NamedCall
from modelcli.timing.record import PartRow
from modelcli.tracing.record import Node, Trace
from modelcli.tracing.vocabulary import is_plumbing

BETWEEN = "between layers"
_LEAST_PLUMBING = 0.01  # of the parts, from which a function that only moves data has a row


@dataclass(slots=True)
class Split:
    """What a module with an inside spends on each function, in passes that mark functions.

    Attributes:
        functions: seconds by path of the row.
        rest_s: its own, outside of them.
        children: paths of the modules that it called.
    """

    functions: dict[str, float] = field(default_factory=dict)
    rest_s: float = 0.0
    children: set[str] = field(default_factory=set)


def split_modules(
    calls: Sequence[NamedCall], own_s: Sequence[float], *, module_s: float, function_s: float
) -> dict[str, Split]:
    """Return how the time of every module with an inside is divided.

    Args:
        calls: of a pass in which functions were marked.
        own_s: mean time of each.
        module_s: what a mark leaves in the time of the call around a module, taken off.
        function_s: the same for a function.
    """
    found: dict[str, Split] = {}
    for number, call in enumerate(calls):
        if call.kind in ("module", "outside"):
            found.setdefault(_owner(calls, number), Split()).rest_s += own_s[number]
    for number, call in enumerate(calls[1:], start=1):
        split = found.setdefault(_owner(calls, call.parent), Split())
        if call.kind == "module":
            split.children.add(call.path)
            split.rest_s -= module_s
        elif call.kind == "op":
            split.functions[call.path] = split.functions.get(call.path, 0.0) + own_s[number]
            split.rest_s -= function_s
        else:
            split.rest_s += own_s[number] - function_s
    for split in found.values():
        split.rest_s = max(0.0, split.rest_s)
    return found


def _owner(calls: Sequence[NamedCall], number: int) -> str:
    """Return the path of the module around a call, or of the call if it is one itself."""
    while calls[number].kind not in ("module", "outside"):
        number = calls[number].parent
    return calls[number].path if calls[number].kind == "module" else _OUTSIDE


_OUTSIDE = " outside"  # no module's path: what lies outside of all calls


@dataclass(slots=True)
class _Own:
    """What the passes that mark modules say of one of them."""

    type: str = ""
    calls: int = 0
    time_s: float = 0.0
    children: set[str] = field(default_factory=set)


def make_rows(
    calls: Sequence[NamedCall],
    own_s: Sequence[float],
    *,
    splits: Mapping[str, Split],
    trace: Trace,
    moved: Mapping[str, int],
    ceilings: Ceilings,
    module_s: float,
) -> tuple[tuple[PartRow, ...], float]:
    """Return the rows of a pass, the last for what lies between layers, and what was taken off.

    All rows and what was taken off are the sum of ``own_s``.

    Args:
        calls: of a pass in which modules were marked.
        own_s: mean time of each.
        splits: how the time of modules with an inside is divided.
        trace: the same pass observed.
        moved: bytes that each row of the trace moves.
        ceilings: what the machine reaches.
        module_s: what a mark leaves in the time of the call around a module.
    """
    owners, taken_s = _by_owner(calls, own_s, module_s)
    times, between_s = _divide(owners, splits)
    plain = _Join(trace, moved, ceilings)
    total_s = sum(owner.time_s for owner in owners.values())
    for path in [p for p in times if plain.is_small_plumbing(p, times[p], total_s)]:
        between_s += times.pop(path)
    rows = plain.rows(times, owners)
    return (*rows, plain.between(between_s, rows)), taken_s


def _by_owner(
    calls: Sequence[NamedCall], own_s: Sequence[float], module_s: float
) -> tuple[dict[str, _Own], float]:
    owners: dict[str, _Own] = {}
    marked: dict[str, int] = {}  # modules that each has called
    for number, call in enumerate(calls):
        owner = owners.setdefault(_owner(calls, number), _Own())
        owner.time_s += own_s[number]
        if call.kind == "module":
            owner.type = call.type
            owner.calls += 1
        if number:
            above = _owner(calls, call.parent)
            marked[above] = marked.get(above, 0) + 1
            if call.kind == "module":
                owners[above].children.add(call.path)
    taken_s = 0.0
    for path, count in marked.items():
        off = min(owners[path].time_s, count * module_s)
        owners[path].time_s -= off
        taken_s += off
    return owners, taken_s


def _divide(
    owners: Mapping[str, _Own], splits: Mapping[str, Split]
) -> tuple[dict[str, float], float]:
    """Return the time of every row, and what lies between them."""
    times: dict[str, float] = {}
    between_s = 0.0
    for path, owner in owners.items():
        split = splits.get(path, Split())
        same_course = split.children == owner.children
        if path == _OUTSIDE or (owner.children and not (split.functions and same_course)):
            between_s += owner.time_s
        elif not split.functions or not same_course:
            times[path] = times.get(path, 0.0) + owner.time_s  # a layer, or fused into one kernel
        else:
            whole = sum(split.functions.values()) + split.rest_s
            for function, seconds in split.functions.items():
                share = owner.time_s * seconds / whole if whole else 0.0
                times[function] = times.get(function, 0.0) + share
            between_s += owner.time_s * split.rest_s / whole if whole else owner.time_s
    return times, between_s


class _Join:
    """Gives every row what the trace knows of it, and of all below it that has no row."""

    def __init__(self, trace: Trace, moved: Mapping[str, int], ceilings: Ceilings) -> None:
        self._trace = trace
        self._moved = moved
        self._ceilings = ceilings
        self._nodes = {node.path: node for node in reversed(trace.nodes)}
        self._own_flops = {node.index: node.flops for node in trace.nodes}
        for node in trace.nodes:
            if node.parent is not None:
                self._own_flops[node.parent] -= node.flops

    def is_small_plumbing(self, path: str, time_s: float, total_s: float) -> bool:
        """Tell whether a row only moves data, and takes next to nothing."""
        node = self._nodes.get(path)
        is_op = node is not None and node.kind == "op" and is_plumbing(node.type)
        return is_op and time_s < _LEAST_PLUMBING * total_s

    def rows(self, times: Mapping[str, float], owners: Mapping[str, _Own]) -> tuple[PartRow, ...]:
        """Return one row for each time, in the order of execution."""
        held = self._held_by_row(times)
        order = {node.path: node.index for node in self._trace.nodes}
        paths = sorted(times, key=lambda path: order.get(path, len(order)))
        return tuple(self._row(path, times[path], held.get(path, []), owners) for path in paths)

    def _held_by_row(self, times: Mapping[str, float]) -> dict[str, list[Node]]:
        """Return the nodes that each row stands for: its own, and those below without a row."""
        held: dict[str, list[Node]] = {}
        homes: dict[int, str | None] = {}
        for node in self._trace.nodes:
            if node.path in times and node.kind != "parameter":
                home: str | None = node.path
            else:
                home = homes[node.parent] if node.parent is not None else None
            homes[node.index] = home
            if home is not None:
                held.setdefault(home, []).append(node)
        return held

    def _row(
        self, path: str, time_s: float, held: Sequence[Node], owners: Mapping[str, _Own]
    ) -> PartRow:
        node = self._nodes.get(path)
        owner = owners.get(path, _Own())
        kind = "op" if node is not None and node.kind == "op" else "module"
        calls = owner.calls or (node.calls if node is not None else 1)
        flops = None
        if held and not any(each.uncounted for each in held):
            flops = sum(self._own_flops[each.index] for each in held)
        moved = sum(self._moved.get(each.path, 0) for each in held) if held else None
        ceilings = self._ceilings
        call_s = ceilings.function_s if kind == "op" else ceilings.layer_s
        return PartRow(
            path=path,
            depth=path.count(".") + 1 if path else 0,
            kind=kind,
            type=node.type if node is not None else owner.type,
            calls=calls,
            time_s=time_s,
            flops=flops,
            moved_bytes=moved,
            floors=find_floors(
                flops=flops, moved_bytes=moved, calls=calls, call_s=call_s, ceilings=ceilings
            ),
            fused=any(each.kind == "module" and each.path != path and each.calls for each in held),
        )

    def between(self, time_s: float, rows: Sequence[PartRow]) -> PartRow:
        """Return the row of what lies between layers, with the operations that no other has."""
        known = [row.flops for row in rows if row.flops is not None]
        left = self._trace.totals.flops - sum(known)
        complete = len(known) == len(rows)
        return PartRow(
            path="", depth=0, kind="between", type=BETWEEN, calls=1, time_s=time_s,
            flops=left if complete and left > 0 else None, floors=Floors(),
        )  # fmt: skip


def fold_rows(rows: Sequence[PartRow], depth: int) -> tuple[PartRow, ...]:
    """Return rows no deeper than ``depth``; what lies deeper is summed into the row above it."""
    found: dict[tuple[str, str], PartRow] = {}
    for row in rows:
        if row.kind == "between" or row.depth <= depth:
            key, shown = (row.path, row.kind), row
        else:
            path = ".".join(row.path.split(".")[:depth])
            key = (path, "module")
            shown = replace(row, path=path, depth=depth, kind="module", type="", calls=1)
        before = found.get(key)
        found[key] = shown if before is None else _sum(before, shown)
    return tuple(found.values())


def rows_by_type(rows: Sequence[PartRow]) -> tuple[PartRow, ...]:
    """Return one row for each type, the slowest first."""
    found: dict[str, PartRow] = {}
    for row in rows:
        path = row.path if row.kind == "between" else row.type
        shown = replace(row, path=path, depth=0)
        before = found.get(row.type)
        if before is not None:
            shown = replace(_sum(before, shown), calls=before.calls + row.calls)
        found[row.type] = shown
    return tuple(sorted(found.values(), key=lambda row: -row.time_s))


def _sum(a: PartRow, b: PartRow) -> PartRow:
    flops = None if a.flops is None or b.flops is None else a.flops + b.flops
    moved = None
    if a.moved_bytes is not None and b.moved_bytes is not None:
        moved = a.moved_bytes + b.moved_bytes
    return replace(
        a,
        time_s=a.time_s + b.time_s,
        flops=flops,
        moved_bytes=moved,
        floors=a.floors + b.floors,
        fused=a.fused or b.fused,
    )

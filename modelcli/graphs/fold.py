"""Blocks that repeat one after another, drawn once with their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from modelcli.graphs.enclose import drop_children, enclose, prune
from modelcli.graphs.record import Box

LONGEST_PERIOD = 4  # Swin has two kinds of blocks in turn, others three
_FEWEST_SINGLES = 4  # a block is worth folding twice, a single layer only from here on


def fold(root: Box) -> None:
    """Fold what repeats, in place, the innermost first.

    Folded are neighbours that are equal in the eyes of a reader (class, shapes, parameters, what
    is inside), that follow one another in the same way, and that have no neighbour outside which
    the others lack. A skip connection out of one of them keeps them apart.
    """
    numbers: dict[object, int] = {}
    signatures: dict[str, int] = {}
    leads = _where_ports_lead(root)
    for box in reversed(list(root.walk())):  # what is inside comes first
        if box.is_group:
            _Folding(box, signatures, leads).fold()
        signatures[box.id] = _number(box, signatures, numbers)
    prune(root)


def _where_ports_lead(root: Box) -> dict[str, str]:
    """Return a name for each port out of a group that tells what reads it, further out.

    Blocks that each hand a tensor to one list of outputs do the same, though by ports of their own.
    """
    leads: dict[str, str] = {}
    numbers: dict[tuple[str, ...], int] = {}  # names within names would double at each level
    for outer in root.walk():  # what is around comes first
        targets: dict[tuple[str, str], set[str]] = defaultdict(set)
        for (source, target), held in outer.wires.items():
            for key in held:
                targets[source, key].add(leads.get(target, target))
        for group in outer.boxes():
            for key, port in group.outs.items():
                read = numbers.setdefault(tuple(sorted(targets[group.id, key])), len(numbers))
                leads[port] = f"{group.id}: {read}"
    return leads


def _number(box: Box, signatures: dict[str, int], numbers: dict[object, int]) -> int:
    """Give equal boxes the same number."""
    place = {child.id: number for number, child in enumerate(box.children)}
    # A group may be given what it does not use, as a cache that grows from block to block.
    taken = None if box.is_group else box.input_shapes
    signature = (
        box.kind, box.type, box.family, taken, box.output_shapes, box.row_params,
        box.macs, box.repeat, box.failed,
        tuple(signatures.get(child.id, child.kind) for child in box.children),
        frozenset(
            (place[source], place[target], any(wire.write for wire in held.values()))
            for (source, target), held in box.wires.items()
        ),
    )  # fmt: skip
    return numbers.setdefault(signature, len(numbers))


@dataclass(frozen=True, slots=True)
class _Run:
    """Units of ``period`` children each, ``count`` of them, from ``start`` on."""

    start: int
    period: int
    count: int

    @property
    def end(self) -> int:
        return self.start + self.period * self.count


class _Folding:
    """Finds and folds the runs among the children of one box."""

    def __init__(self, box: Box, signatures: dict[str, int], leads: Mapping[str, str]) -> None:
        self.box = box
        self.leads = leads
        self.children = list(box.boxes())
        self.signs = [signatures[child.id] for child in self.children]
        self.signatures = signatures
        self.place = {child.id: number for number, child in enumerate(self.children)}
        self.after: dict[str, set[str]] = defaultdict(set)
        self.before: dict[str, set[str]] = defaultdict(set)
        for source, target in box.wires:
            self.after[source].add(target)
            self.before[target].add(source)

    def fold(self) -> None:
        for run in self._runs():
            self._apply(run)

    def _runs(self) -> list[_Run]:
        found: list[_Run] = []
        start = 0
        while start < len(self.children):
            runs = [self._longest(start, period) for period in range(1, LONGEST_PERIOD + 1)]
            best = max(runs, key=lambda run: (run.end - run.start) * (run.count > 1))
            if best.count > 1 and self._is_worth(best):
                found.append(best)
                start = best.end
            else:
                start += 1
        return found

    def _is_worth(self, run: _Run) -> bool:
        unit = self.children[run.start : run.start + run.period]
        if not any(box.is_group for box in unit) and run.count < _FEWEST_SINGLES:
            return False
        return all(box.kind in ("module", "op") and not box.failed for box in unit)

    def _longest(self, start: int, period: int) -> _Run:
        signs, end = self.signs, start + period
        while end < len(signs) and signs[end] == signs[end - period]:
            end += 1
        count = (end - start) // period
        while count > 1:
            run = _Run(start, period, count)
            sound = self._count_sound(run)
            if sound == count:
                return run
            count = sound
        return _Run(start, period, 1)

    def _count_sound(self, run: _Run) -> int:
        """Return how many units, from the first on, stand to one another as the first two do."""
        units = [self._surroundings(run, number) for number in range(run.count)]
        if len(units) < 2 or not units[1].carried_in:
            return 1
        second = units[1]
        carried_out = units[0].carried_out
        if units[0].inner != second.inner or not second.outside_in <= units[0].outside_in:
            return 1
        extra = units[0].outside_in - second.outside_in
        if any(place not in {to for _, to in second.carried_in} for _, place in extra):
            return 1
        for number, unit in enumerate(units):
            is_last = number == run.count - 1
            fits = unit.inner == second.inner and not unit.is_far
            if number:
                fits = fits and unit.carried_in == second.carried_in
                fits = fits and unit.outside_in == second.outside_in
            if not is_last:
                fits = fits and unit.carried_out == carried_out
                fits = fits and unit.outside_out == units[0].outside_out
            else:
                more = unit.outside_out - units[0].outside_out
                fits = fits and units[0].outside_out <= unit.outside_out
                fits = fits and {place for place, _ in more} <= {place for place, _ in carried_out}
            if not fits:
                return number if number > 1 else 1
        return run.count

    def _surroundings(self, run: _Run, number: int) -> _Unit:
        first = run.start + number * run.period
        unit = _Unit(set(), set(), set(), set(), set())
        for offset in range(run.period):
            box = self.children[first + offset].id
            for source in self.before[box]:
                place = self.place.get(source)
                if place is None or not run.start <= place < run.end:
                    unit.outside_in.add((source, offset))
                elif first <= place:
                    unit.inner.add((place - first, offset))
                elif place >= first - run.period:
                    unit.carried_in.add((place - first + run.period, offset))
                else:
                    unit.is_far = True
            for target in self.after[box]:
                place = self.place.get(target)
                if place is None or not run.start <= place < run.end:
                    unit.outside_out.add((offset, self.leads.get(target, target)))
                elif place >= first + run.period:
                    unit.carried_out.add((offset, place - first - run.period))
        return unit

    def _apply(self, run: _Run) -> None:
        members = self.children[run.start : run.end]
        unit, last = members[: run.period], members[-run.period :]
        for offset, box in enumerate(unit):
            like = members[offset :: run.period]
            _share_ports(box, like[-1])
            box.names = tuple(name for other in like for name in other.names)
            if run.period == 1:
                box.repeat = run.count
                box.name = _name_run(like)
        stands_in = {old.id: new.id for old, new in zip(last, unit, strict=True)}
        drop_children(self.box, stands_in, {box.id for box in members[run.period :]}, self.leads)
        if run.period > 1:
            frame = Box(
                id=f"{unit[0].id}r", kind="frame", name=_name_run([members[0], members[-1]]),
                type=" + ".join(dict.fromkeys(box.type for box in unit)), family="group",
                repeat=run.count, names=tuple(box.path for box in members),
                params=sum(box.params for box in unit), macs=sum(box.macs for box in unit),
                row_params=sum(box.row_params for box in unit),
                output_bytes=unit[-1].output_bytes, output_shapes=unit[-1].output_shapes,
                input_shapes=unit[0].input_shapes,
            )  # fmt: skip
            enclose(self.box, [(frame, unit)])
            self.signatures[frame.id] = -1 - len(self.signatures)


@dataclass(slots=True)
class _Unit:
    """The wires of one unit: inside it, from the one before, to the one after, and outside."""

    inner: set[tuple[int, int]]
    carried_in: set[tuple[int, int]]
    carried_out: set[tuple[int, int]]
    outside_in: set[tuple[str, int]]
    outside_out: set[tuple[int, str]]
    is_far: bool = False


def _share_ports(kept: Box, last: Box) -> None:
    """Let what left the last of the repeated boxes leave the one that stands for them."""
    if kept is last:
        return
    places = {_port_place(kept, key): port for key, port in kept.outs.items()}
    for key in last.outs:
        port = places.get(_port_place(last, key))
        if port is not None:
            kept.outs[key] = port


def _port_place(box: Box, key: str) -> tuple[int, str]:
    """Return from which child, and which of its outputs, a port's tensor comes."""
    port = box.outs[key]
    numbers = {child.id: number for number, child in enumerate(box.children)}
    source = next((a for a, b in box.wires if b == port), "")
    return numbers.get(source, -1), key.rpartition(".")[2]


def _name_run(members: list[Box]) -> str:
    """Return ``h.0 … h.11`` for boxes of these names."""
    first, last = members[0].name, members[-1].name
    return first if first == last else f"{first} … {last}"

"""How much is alive at every moment of a step, by kind, thinned for a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelcli.ledger.peak import KINDS
from modelcli.tracing.memory_record import NEVER, Ledger, PhaseName

_MOST_POINTS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is alive at a moment.

    Attributes:
        event: position in the ledger's order of births and deaths.
        live_bytes: of all blocks.
        kinds: bytes by kind.
    """

    event: int
    phase: PhaseName
    live_bytes: int
    kinds: Mapping[str, int]


def timeline(ledger: Ledger, step: int, *, most: int = _MOST_POINTS) -> tuple[Moment, ...]:
    """Return moments of a step: the highest of each of ``most`` spans of equal length.

    The first, the last and the highest of every phase are among them.
    """
    first, last = ledger.span(step)
    held = dict.fromkeys(KINDS, 0)
    events = [(b.birth, b.nbytes, b.kind) for b in ledger.blocks if b.nbytes]
    events += [(b.death, -b.nbytes, b.kind) for b in ledger.blocks if b.nbytes and b.death < NEVER]
    events.sort(key=lambda event: event[0])
    kept: dict[tuple[int, int], Moment] = {}
    live, place = 0, 0
    while place < len(events) and events[place][0] <= first:
        live, place = live + events[place][1], place + 1
        held[events[place - 1][2]] += events[place - 1][1]
    kept[-1, 0] = _moment(first, ledger.phase_at(first).name, live, held)
    length = max(1, last - first)
    starts = [phase for phase in ledger.phases if phase.step == step]
    at = 0
    for event, change, kind in events[place:]:
        if event >= last:
            break
        live += change
        held[kind] += change
        while at + 1 < len(starts) and starts[at + 1].start <= event:
            at += 1
        span = (at, (event - first) * most // length)  # every phase keeps its highest
        if span not in kept or live > kept[span].live_bytes:
            kept[span] = _moment(event, starts[at].name, live, held)
    if last > first + 1:
        kept[len(starts), 0] = _moment(last - 1, starts[-1].name, live, held)
    return tuple(kept.values())


def _moment(event: int, phase: PhaseName, live: int, held: Mapping[str, int]) -> Moment:
    return Moment(event=event, phase=phase, live_bytes=live, kinds=dict(held))

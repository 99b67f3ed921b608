"""Peaks of a ledger: how much is alive at once, when, and what holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelcli.tracing.memory_record import NEVER, Block, Ledger, PhaseName

ROUND_BYTES = 512  # CUDA's allocator gives out blocks of this multiple

KINDS = ("parameter", "buffer", "input", "gradient", "state", "saved", "temporary")
_STANDING = frozenset(("parameter", "buffer", "input"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The most that is alive at once.

    Attributes:
        nbytes: sum of the blocks.
        event: position in the ledger's order of births and deaths.
        phase: of the step.
        path: the module at work, "" for the model itself and the loss.
        op: the operation whose output made the peak, "" where it is there from the beginning.
        held: bytes by kind of block.
    """

    nbytes: int
    event: int
    phase: PhaseName
    path: str
    op: str
    held: Mapping[str, int]


def changes(blocks: Iterable[Block], rounding: int = 1) -> list[tuple[int, int]]:
    """Return every birth and death with what it adds, in order."""
    found: list[tuple[int, int]] = []
    for block in blocks:
        size = -(-block.nbytes // rounding) * rounding
        if size:
            found.append((block.birth, size))
            if block.death < NEVER:
                found.append((block.death, -size))
    found.sort(key=lambda change: change[0])
    return found


def peak_bytes(ledger: Ledger, step: int | None = None, rounding: int = 1) -> tuple[int, int]:
    """Return the most bytes that are alive at once, and where that is first reached.

    Args:
        step: look at this step alone.
        rounding: every block takes a multiple of it.
    """
    first, last = ledger.span(step) if step is not None else (0, ledger.end + 1)
    live, most, where = 0, -1, first
    for event, change in changes(ledger.blocks, rounding):
        if event >= last:
            break
        if event > first and live > most and most < 0:
            most, where = live, first  # what the step begins with
        live += change
        if live > most and event >= first:
            most, where = live, event
    return (live, first) if most < 0 else (most, where)


def find_peak(ledger: Ledger, step: int | None = None) -> Peak:
    """Return the peak of a ledger, or of one step of it."""
    nbytes, event = peak_bytes(ledger, step)
    made = next((block for block in ledger.blocks if block.birth == event), None)
    return Peak(
        nbytes=nbytes,
        event=event,
        phase=ledger.phase_at(event).name if ledger.phases else "forward",
        path=made.path if made is not None and event else "",
        op=made.op if made is not None and event else "",
        held=by_kind(alive_at(ledger, event)),
    )


def alive_at(ledger: Ledger, event: int) -> list[Block]:
    """Return the blocks that are alive right after a birth or death."""
    return [block for block in ledger.blocks if block.birth <= event < block.death]


def by_kind(blocks: Iterable[Block]) -> dict[str, int]:
    """Return bytes by kind, every kind in it."""
    held = dict.fromkeys(KINDS, 0)
    for block in blocks:
        held[block.kind] += block.nbytes
    return held


def saved_by(ledger: Ledger, step: int) -> dict[str, int]:
    """Return the bytes that each module keeps for the backward pass of a step, a storage once.

    What is there anyway (parameters, buffers, inputs) is left out.
    """
    first, last = ledger.span(step)
    held: dict[str, int] = {}
    for block in ledger.blocks:
        kept = block.saved_by is not None and block.kind not in _STANDING
        if kept and block.saved_by is not None and first <= block.birth < last:
            held[block.saved_by] = held.get(block.saved_by, 0) + block.nbytes
    return held

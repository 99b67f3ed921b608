"""What CUDA's caching allocator would reserve for a ledger: default settings, one stream.

Blocks are multiples of 512 bytes. Up to 1 MiB they come from segments of 2 MiB, below 10 MiB from
segments of 20 MiB, above that a segment is rounded up to 2 MiB. The free block that fits best is
taken; its rest is split off from 512 bytes in the small pool, above 1 MiB in the large one.
Source: ``c10/cuda/CUDACachingAllocator.cpp`` of torch.
"""

from __future__ import annotations

import bisect

from modelcli.ledger.peak import ROUND_BYTES
from modelcli.tracing.memory_record import NEVER, Block, Ledger

_MIB = 1024**2
_SMALL = _MIB
_SMALL_SEGMENT = 2 * _MIB
_MEDIUM = 10 * _MIB
_MEDIUM_SEGMENT = 20 * _MIB
_SEGMENT_ROUND = 2 * _MIB


def _segment_bytes(size: int) -> int:
    if size <= _SMALL:
        return _SMALL_SEGMENT
    if size < _MEDIUM:
        return _MEDIUM_SEGMENT
    return -(-size // _SEGMENT_ROUND) * _SEGMENT_ROUND


class _Part:
    """A part of a segment, in use or free, between its neighbours."""

    __slots__ = ("after", "before", "is_free", "offset", "segment", "size")

    def __init__(self, segment: int, offset: int, size: int) -> None:
        self.segment = segment
        self.offset = offset
        self.size = size
        self.is_free = False
        self.before: _Part | None = None
        self.after: _Part | None = None

    @property
    def rank(self) -> tuple[int, int, int]:
        return self.size, self.segment, self.offset


class _Pool:
    """The free parts of one kind of segment, the best fitting found by bisection."""

    def __init__(self, least_rest: int) -> None:
        self.least_rest = least_rest
        self._ranks: list[tuple[int, int, int]] = []
        self._parts: dict[tuple[int, int, int], _Part] = {}

    def add(self, part: _Part) -> None:
        part.is_free = True
        bisect.insort(self._ranks, part.rank)
        self._parts[part.rank] = part

    def remove(self, part: _Part) -> None:
        part.is_free = False
        del self._parts[part.rank]
        del self._ranks[bisect.bisect_left(self._ranks, part.rank)]

    def release(self) -> int:
        """Give back the segments that are wholly free; return their bytes."""
        whole = [p for p in self._parts.values() if p.before is None and p.after is None]
        for part in whole:
            self.remove(part)
        return sum(part.size for part in whole)

    def take(self, size: int) -> _Part | None:
        place = bisect.bisect_left(self._ranks, (size, -1, -1))
        if place == len(self._ranks):
            return None
        part = self._parts[self._ranks[place]]
        self.remove(part)
        return part


class OutOfMemory(Exception):  # the field's name for it
    """A block does not fit below the limit."""


class CachingAllocator:
    """Reserves segments; gives back those that are wholly free only where it would run out.

    Args:
        limit_bytes: what may be reserved; None for no end.

    Attributes:
        allocated_bytes: in use now, rounded.
        reserved_bytes: of all segments now.
        peak_allocated_bytes: the most that was in use.
        peak_reserved_bytes: the most that was reserved.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.allocated_bytes = 0
        self.reserved_bytes = 0
        self.peak_allocated_bytes = 0
        self.peak_reserved_bytes = 0
        self._limit_bytes = limit_bytes
        self._small = _Pool(ROUND_BYTES)
        self._large = _Pool(_SMALL + 1)
        self._segments: list[bool] = []  # whether each is small

    def allocate(self, nbytes: int) -> _Part:
        """Take a block.

        Raises:
            OutOfMemory: it does not fit below the limit.
        """
        size = max(ROUND_BYTES, -(-nbytes // ROUND_BYTES) * ROUND_BYTES)
        pool = self._small if size <= _SMALL else self._large
        part = pool.take(size) or self._reserve(size)
        rest = part.size - size
        if rest >= pool.least_rest:
            pool.add(self._split(part, size))
        self.allocated_bytes += part.size
        self.peak_allocated_bytes = max(self.peak_allocated_bytes, self.allocated_bytes)
        return part

    def free(self, part: _Part) -> None:
        """Give a block back; free neighbours become one."""
        self.allocated_bytes -= part.size
        pool = self._small if self._segments[part.segment] else self._large
        if part.before is not None and part.before.is_free:
            pool.remove(part.before)
            part = _joined(part.before, part)
        if part.after is not None and part.after.is_free:
            pool.remove(part.after)
            part = _joined(part, part.after)
        pool.add(part)

    def _reserve(self, size: int) -> _Part:
        segment = _Part(len(self._segments), 0, _segment_bytes(size))
        limit = self._limit_bytes
        if limit is not None and self.reserved_bytes + segment.size > limit:
            self.reserved_bytes -= self._small.release() + self._large.release()
            if self.reserved_bytes + segment.size > limit:
                raise OutOfMemory
        self._segments.append(size <= _SMALL)
        self.reserved_bytes += segment.size
        self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)
        return segment

    def _split(self, part: _Part, size: int) -> _Part:
        rest = _Part(part.segment, part.offset + size, part.size - size)
        rest.before, rest.after = part, part.after
        if part.after is not None:
            part.after.before = rest
        part.after, part.size = rest, size
        return rest


def _joined(first: _Part, second: _Part) -> _Part:
    first.size += second.size
    first.after = second.after
    if second.after is not None:
        second.after.before = first
    return first


def replay(ledger: Ledger, limit_bytes: int | None = None) -> CachingAllocator:
    """Return the allocator after it has seen every block of a ledger come and go.

    Raises:
        OutOfMemory: a block did not fit below the limit.
    """
    allocator = CachingAllocator(limit_bytes)
    parts: dict[int, _Part] = {}
    for block, is_born in _in_order(ledger):
        if is_born:
            parts[id(block)] = allocator.allocate(block.nbytes)
        else:
            allocator.free(parts.pop(id(block)))
    return allocator


def _in_order(ledger: Ledger) -> list[tuple[Block, bool]]:
    events = [(block.birth, block, True) for block in ledger.blocks if block.nbytes]
    events += [(b.death, b, False) for b in ledger.blocks if b.nbytes and b.death < NEVER]
    events.sort(key=lambda event: event[0])
    return [(block, is_born) for _, block, is_born in events]


def needed_bytes(ledger: Ledger, limit_bytes: int) -> int | None:
    """Return what is reserved at most below a limit, where free segments are given back.

    None where it runs out.
    """
    try:
        return replay(ledger, limit_bytes).peak_reserved_bytes
    except OutOfMemory:
        return None

"""From the boundaries of one pass to the time of each call, exactly. Imports no torch.

Whenever a call begins or ends, the clock is read twice. What lies between two boundaries is a tile
and belongs to the innermost open call; what lies between the two readings is the instrument's own.
So tiles and instrument together are the whole that was measured, to the last unit of the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

END = 0
"""The code of a call's end; that of its beginning is any other number."""


class UnbalancedError(ValueError):
    """The boundaries of a pass do not pair: calls of another thread came in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """One pass, taken apart.

    Attributes:
        codes: of the calls in the order in which they began; ``codes[0]`` stands for what lies
            outside of all.
        parents: number of the call around each; the first is its own.
        own: time of each call without the calls in it, in units of the clock.
        instrument: time between the two readings of all boundaries.
        whole: from the beginning of the pass to its end.
    """

    codes: tuple[int, ...]
    parents: tuple[int, ...]
    own: tuple[int, ...]
    instrument: int
    whole: int


def split_pass(codes: Sequence[int], marks: Sequence[int]) -> Tiles:
    """Take one pass apart.

    Args:
        codes: of every boundary, in order: a number other than 0 where a call begins, ``END``
            where the innermost open one ends.
        marks: the clock at the beginning of the pass, before and after every boundary, and at the
            end: ``2 * len(codes) + 2`` readings.

    Raises:
        UnbalancedError: an end without a beginning, or the other way round.
    """
    began: list[int] = [END]
    parents = [0]
    own = [0]
    stack = [0]
    instrument = 0
    last = marks[0]
    for number, code in enumerate(codes):
        before, after = marks[2 * number + 1], marks[2 * number + 2]
        own[stack[-1]] += before - last
        instrument += after - before
        last = after
        if code != END:
            parents.append(stack[-1])
            stack.append(len(began))
            began.append(code)
            own.append(0)
        elif len(stack) == 1:
            raise UnbalancedError("a call ended that had not begun")
        else:
            stack.pop()
    if len(stack) > 1:
        raise UnbalancedError("a call began that did not end")
    own[0] += marks[-1] - last
    return Tiles(
        codes=tuple(began),
        parents=tuple(parents),
        own=tuple(own),
        instrument=instrument,
        whole=marks[-1] - marks[0],
    )


def is_same_course(one: Tiles, other: Tiles) -> bool:
    """Tell whether two passes made the same calls in the same order."""
    return one.codes == other.codes and one.parents == other.parents


def average_tiles(passes: Sequence[Tiles]) -> tuple[list[float], float, float]:
    """Return the mean time of each call, of the instrument and of the whole.

    All passes have made the same calls, so that the means add up as the passes do.
    """
    count = len(passes)
    own = [sum(times) / count for times in zip(*(each.own for each in passes), strict=True)]
    instrument = sum(each.instrument for each in passes) / count
    return own, instrument, sum(each.whole for each in passes) / count

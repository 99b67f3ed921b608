"""What holds a part back: the product, the memory or the calls themselves. Imports no torch.

Three floors: no part can be faster than its operations at the speed of a matrix product, than its
bytes at the speed of a copy, or than as many of the smallest calls. The highest floor names what
holds the part back, if it is at least half of the time that was measured; else none does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelcli.machine.record import Ceilings

Bound = Literal["compute", "memory", "dispatch"]
LEAST_SHARE = 0.5
"""Of the measured time that a floor must reach to be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """The least time that a part can take, in seconds, by what it would then be bound by."""

    compute: float = 0.0
    memory: float = 0.0
    dispatch: float = 0.0

    def __add__(self, other: Floors) -> Floors:
        return Floors(
            compute=self.compute + other.compute,
            memory=self.memory + other.memory,
            dispatch=self.dispatch + other.dispatch,
        )

    def bound(self, time_s: float) -> Bound | None:
        """Return what holds a part back, or None where no floor comes near the measured time."""
        floors: tuple[tuple[float, Bound], ...] = (
            (self.compute, "compute"),
            (self.memory, "memory"),
            (self.dispatch, "dispatch"),
        )
        highest, name = max(floors, key=lambda floor: floor[0])
        return name if time_s > 0 and highest >= LEAST_SHARE * time_s else None


def find_floors(
    *, flops: int | None, moved_bytes: int | None, calls: int, call_s: float, ceilings: Ceilings
) -> Floors:
    """Return the floors of one part.

    Args:
        flops: of all its calls; None where they are not known, which makes no floor.
        moved_bytes: of all its calls, or None.
        calls: how often it runs.
        call_s: what the smallest call of its kind takes.
    """
    each = (moved_bytes or 0) / max(1, calls)
    return Floors(
        compute=(flops or 0) / ceilings.product_flops_per_s,
        memory=(moved_bytes or 0) / copy_speed(each, ceilings),
        dispatch=calls * call_s,
    )


def copy_speed(moved_bytes: float, ceilings: Ceilings) -> float:
    """Return the speed at which bytes move at best: what fits the last cache may stay there."""
    fits = ceilings.cache_bytes is not None and moved_bytes <= ceilings.cache_bytes
    if fits and ceilings.cache_bytes_per_s is not None:
        return ceilings.cache_bytes_per_s
    return ceilings.copy_bytes_per_s

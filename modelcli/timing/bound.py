"""What holds a part back: the product, the memory or the calls themselves. Imports no torch.

Three floors: no part can be faster than its operations at the speed of a matrix product, than its
bytes at the speed of a copy, or than as many of the smallest calls. The highest floor names what
holds the part back, if it is at least half of the time that was measured; else none does.
"""

from __future__ import annotations

from typing import Literal

from modelcli.machine.record import Ceilings

Bound = Literal["compute", "memory", "dispatch"]
LEAST_SHARE = 0.5
"""Of the measured time that a floor must reach to be named."""


def find_bound(
    time_s: float,
    *,
    flops: float | None,
    moved_bytes: float | None,
    calls_s: float,
    ceilings: Ceilings,
) -> Bound | None:
    """Return what holds a part back, or None where no floor comes near the measured time.

    Args:
        flops: of the part; None where they are not known.
        moved_bytes: read and written; None where they are not known.
        calls_s: what as many of the smallest calls take.
    """
    if time_s <= 0:
        return None
    floors: dict[Bound, float] = {"dispatch": calls_s}
    if flops is not None:
        floors["compute"] = flops / ceilings.product_flops_per_s
    if moved_bytes is not None:
        floors["memory"] = moved_bytes / copy_speed(moved_bytes, ceilings)
    highest = max(floors, key=lambda name: floors[name])
    return highest if floors[highest] >= LEAST_SHARE * time_s else None


def copy_speed(moved_bytes: float, ceilings: Ceilings) -> float:
    """Return the speed at which bytes move at best: what fits the last cache may stay there."""
    fits = ceilings.cache_bytes is not None and moved_bytes <= ceilings.cache_bytes
    if fits and ceilings.cache_bytes_per_s is not None:
        return ceilings.cache_bytes_per_s
    return ceilings.copy_bytes_per_s

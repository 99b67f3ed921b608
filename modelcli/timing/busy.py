"""Whether other programs disturbed a measurement. Imports no torch."""

from __future__ import annotations

from typing import Literal

from modelcli.machine.waiting import Waiting
from modelcli.timing.statistics import Latency

Sign = Literal["waited", "less cpu", "drift", "product"]

MOST_WAITING = 0.05  # of the time, waited for a core by all threads together
MOST_DRIFT = 0.05  # between rounds of the same thing
LEAST_CPU = 0.9  # of the threads' time on a core, where waiting is not told
LONG_S = 0.005  # a shorter pass leaves threads idle by itself
MOST_PRODUCT_DRIFT = 0.1  # between the matrix product before and after


def busy_signs(
    latency: Latency, waiting: Waiting, *, threads: int, ceiling_drift: float
) -> tuple[Sign, ...]:
    """Return what tells that the machine was busy, the best sign first.

    The spread alone does not do: threads that starve are slow and steady. So the time that our own
    threads waited for a core comes first, and the drift between rounds of the same thing next.
    """
    signs: list[Sign] = []
    share = waiting.share
    if share is not None and share > MOST_WAITING:
        signs.append("waited")
    used_s = LEAST_CPU * threads * waiting.wall_s
    if share is None and latency.median_s > LONG_S and waiting.cpu_s < used_s:
        signs.append("less cpu")
    if latency.drift > MOST_DRIFT:
        signs.append("drift")
    if abs(ceiling_drift) > MOST_PRODUCT_DRIFT:
        signs.append("product")
    return tuple(signs)

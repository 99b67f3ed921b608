"""The time line of a step's memory, in one line of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from modelcli.ledger.timeline import Moment
from modelcli.views.curves import level_bars


def time_lines(moments: Sequence[Moment], *, width: int = 60) -> list[str]:
    """Return the time line of a step in one line of bars for each phase."""
    most = max((moment.live_bytes for moment in moments), default=0)
    if not most:
        return []
    parts = []
    for phase, group in groupby(moments, key=lambda moment: moment.phase):
        values = [moment.live_bytes for moment in group]
        share = max(1, round(width * len(values) / len(moments)))
        if phase not in ("end", "loss"):
            parts.append(f"{phase} {level_bars(_thinned(values, share), most)}")
    return [f"time      {' '.join(parts)}"]


def _thinned(values: Sequence[int], count: int) -> list[int]:
    """Return the highest of each of ``count`` spans."""
    count = min(count, len(values))
    return [
        max(values[len(values) * n // count : max(1, len(values) * (n + 1) // count)])
        for n in range(count)
    ]

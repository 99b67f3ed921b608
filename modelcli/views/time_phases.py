"""The phases of a training step: zeroing, forward, backward, update."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.machine.record import Ceilings
from modelcli.timing.record import Timed
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import show_seconds, show_si

_UNEXPLAINED = "step less phases"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    phase: str
    time_s: float
    share: float
    flops_per_s: float | None = None
    product_share: float | None = None


def phases_table(timed: Timed, ceilings: Ceilings) -> Table:
    """Return the phases of one batch size as a table; they were marked in steps of their own."""
    step_s = timed.latency.median_s
    lines = []
    for phase in timed.phases:
        speed = phase.flops / phase.time_s if phase.flops and phase.time_s > 0 else None
        lines.append(
            _Line(
                phase=phase.name,
                time_s=phase.time_s,
                share=phase.time_s / step_s,
                flops_per_s=speed,
                product_share=speed and speed / ceilings.product_flops_per_s,
            )
        )
    left_s = step_s - sum(phase.time_s for phase in timed.phases)
    lines.append(_Line(phase=_UNEXPLAINED, time_s=left_s, share=left_s / step_s))
    size = "" if timed.batch_size is None else f", batch {timed.batch_size}"
    columns = (
        Column(key="phase", title="phase"),
        Column(key="time_s", title="time", show=show_seconds, align="right"),
        Column(key="share", title="share", show=_percent, align="right"),
        Column(key="flops_per_s", title="FLOP/s", show=show_si, align="right"),
        Column(key="product_share", title="of product", show=_percent, align="right"),
    )
    styles = tuple("dim" if line.phase == _UNEXPLAINED else "" for line in lines)
    return table_of(columns, lines, title=f"Training step{size}", styles=styles)


def _percent(share: float) -> str:
    return f"{share:.0%}" if abs(share) >= 0.0995 else f"{share:.1%}"

"""Where the time of a pass goes: a row a layer, or a type, and what no row explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from modelcli.machine.record import Ceilings
from modelcli.timing.record import PartRow, Parts, Timed
from modelcli.timing.rows import fold_rows, rows_by_type
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import show_seconds, show_si

LEAST_CERTAIN = 0.05
"""Of the whole, beyond which the difference to the parts says that these are less certain."""
_UNEXPLAINED = "whole less parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A row of the table: a part, or the difference at the end.

    Attributes:
        whole_s: a plain forward pass, of which shares are.
    """

    path: str
    type: str
    calls: int | None
    time_s: float
    whole_s: float
    part: PartRow | None

    @property
    def share(self) -> float:
        return self.time_s / self.whole_s


def parts_table(timed: Timed, ceilings: Ceilings, *, by: str, depth: int | None) -> Table:
    """Return the parts of one batch size as a table.

    Args:
        by: ``layer`` or ``type``.
        depth: the deepest level that is shown; None shows all.
    """
    assert timed.parts is not None  # it was asked for
    lines = _lines(timed, chosen_rows(timed.parts, by=by, depth=depth))
    columns = _columns(ceilings, by)
    shown = [c for c in columns if c.key in _NEEDED or any(c.value(line) for line in lines)]
    return table_of(
        shown, lines, title=_title(timed, by), notes=tuple(_notes(timed, lines)),
        styles=tuple("dim" if line.part is None or line.part.kind == "between" else ""
                     for line in lines),
        spare=("calls", "copy_share", "intensity", "flops_per_s", "type"),
    )  # fmt: skip


_NEEDED = frozenset(("path", "type", "time_s", "share"))


def chosen_rows(parts: Parts, *, by: str, depth: int | None) -> tuple[PartRow, ...]:
    """Return the rows that are shown."""
    if by == "type":
        return rows_by_type(parts.rows)
    return parts.rows if depth is None else fold_rows(parts.rows, depth)


def _lines(timed: Timed, rows: Sequence[PartRow]) -> list[_Line]:
    whole_s = timed.forward_s
    lines = [
        _Line(
            path=_name(row), type=_kind(row), calls=row.calls, time_s=row.time_s,
            whole_s=whole_s, part=row,
        )
        for row in rows
    ]  # fmt: skip
    left_s = timed.unattributed_s or 0.0
    return [
        *lines,
        _Line(path=_UNEXPLAINED, type="", calls=None, time_s=left_s, whole_s=whole_s, part=None),
    ]


def _name(row: PartRow) -> str:
    return row.path or row.type


def _kind(row: PartRow) -> str:
    if row.kind == "between":
        return ""
    return f"{row.type} (fused)" if row.fused else row.type


def _title(timed: Timed, by: str) -> str:
    size = "" if timed.batch_size is None else f", batch {timed.batch_size}"
    return f"Time by {by}{size}{', of the forward pass' if timed.phases else ''}"


def _columns(ceilings: Ceilings, by: str) -> tuple[Column, ...]:
    def of_part(key: str, ceiling: float | None = None) -> Any:
        def get(line: _Line) -> Any:
            value = None if line.part is None else getattr(line.part, key)
            return value if value is None or ceiling is None else value / ceiling

        return get

    number = {"align": "right"}
    first: tuple[Column, ...] = (Column(key="path", title=by),)
    if by != "type":
        first += (Column(key="type", title="type", style="cyan"),)
    return (
        *first,
        Column(key="calls", title="calls", **number),  # type: ignore[arg-type]
        Column(key="time_s", title="time", show=show_seconds, **number),  # type: ignore[arg-type]
        Column(key="share", title="share", show=_percent, **number),  # type: ignore[arg-type]
        Column(key="flops_per_s", title="FLOP/s", get=of_part("flops_per_s"), show=show_si,
               align="right"),
        Column(key="product_share", title="of product", show=_percent, align="right",
               get=of_part("flops_per_s", ceilings.product_flops_per_s)),
        Column(key="intensity", title="FLOP/B", get=of_part("intensity"), align="right",
               show=lambda value: f"{value:.3g}"),
        Column(key="copy_share", title="of copy", show=_percent, align="right",
               get=of_part("bytes_per_s", ceilings.copy_bytes_per_s)),
        Column(key="bound", title="bound by", get=of_part("bound")),
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{share:.0%}" if abs(share) >= 0.0995 else f"{share:.1%}"


def _notes(timed: Timed, lines: Sequence[_Line]) -> Iterator[str]:
    parts = timed.parts
    assert parts is not None  # as above
    whole_s, left_s = timed.forward_s, timed.unattributed_s or 0.0
    yield (
        f"parts     measured in {parts.passes} passes of their own: "
        f"{show_seconds(parts.parts_s)}, the whole {show_seconds(whole_s)}; "
        f"the instrument's {parts.instrument_s / parts.parts_s:.1%} is taken off"
    )
    if abs(left_s) > max(LEAST_CERTAIN, timed.latency.drift) * whole_s:
        yield (
            f"note      parts and whole differ by {abs(left_s) / whole_s:.0%}: "
            "the parts are no more certain than that"
        )
    if parts.unlike:
        yield f"note      {parts.unlike} passes made other calls than the last, and are left out"
    shares = [line.part for line in lines if line.part is not None]
    if any(row.floors.compute > row.time_s for row in shares):
        yield "note      above 100 %: the product is a measurement too, and no physical limit"
    if any(row.fused for row in shares):
        yield "note      fused: its layers ran as one kernel, and have no time of their own"


PART_COLUMNS = (
    Column(key="path", title="path"),
    Column(key="kind", title="kind"),
    Column(key="type", title="type"),
    Column(key="depth", title="depth"),
    Column(key="calls", title="calls"),
    Column(key="time_s", title="time"),
    Column(key="flops", title="FLOPs"),
    Column(key="flops_per_s", title="FLOP/s"),
    Column(key="moved_bytes", title="bytes"),
    Column(key="bytes_per_s", title="B/s"),
    Column(key="intensity", title="FLOP/B"),
    Column(key="bound", title="bound by"),
    Column(key="fused", title="fused"),
)


def parts_body(timed: Timed, *, by: str | None, depth: int | None) -> dict[str, Any]:
    """Return the parts as JSON: rows, their share of the whole, and what they do not explain."""
    parts = timed.parts
    if parts is None:
        return {"rows": [], "unattributed_s": None}
    whole_s = timed.forward_s
    rows = chosen_rows(parts, by=by or "layer", depth=depth)
    return {
        "rows": [
            {**row, "share": row["time_s"] / whole_s} for row in json_rows(PART_COLUMNS, rows)
        ],
        "unattributed_s": timed.unattributed_s,
        "instrumented_s": parts.instrumented_s,
        "instrument_s": parts.instrument_s,
        "parts_passes": parts.passes,
    }

"""Statistics of tensors beside what their initialisation promises, as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from modelcli.tensors.rows import InitTheory, ParamRow, Totals
from modelcli.views.params import totals_lines
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import plural, show_count, show_shape

Getter = Callable[[ParamRow], Any]

# Gains between which a signal neither dies out nor explodes within a few layers; torch's own
# Linear has 0.58, Kaiming for ReLU 1.41.
_USUAL_GAIN = (0.3, 2.5)


def show_number(value: float) -> str:
    """Write a number with four significant digits: ``-0.01234``, ``1.2e-07``, ``1,024``."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.4g}"


def stats_tables(
    rows: Sequence[ParamRow], totals: Totals, *, notes: Sequence[str] = ()
) -> list[Table]:
    """Return a table of statistics and, where theory has a say, one of measured and promised."""
    first = table_of(
        _columns(rows),
        rows,
        title="Statistics",
        notes=(*totals_lines(rows, totals), *_non_finite(rows), *notes),
        styles=tuple(_style(row) for row in rows),
    )
    judged = [row for row in rows if row.theory is not None and _worth_judging(row.theory)]
    if not judged:
        return [first]
    second = table_of(
        _theory_columns(only=None),
        judged,
        title="Initialisation: measured beside what theory gives",
        notes=tuple(_remarks(judged)),
    )
    return [first, second]


def _worth_judging(theory: InitTheory) -> bool:
    """Leave out what is constant and should be."""
    return theory.gain is not None or bool(theory.std) or theory.off


def _style(row: ParamRow) -> str:
    if row.stats is not None and (row.stats.nan or row.stats.inf):
        return "bold red"
    return "dim" if row.tied_to else ""


def _columns(rows: Sequence[ParamRow]) -> list[Column]:
    columns = [
        Column(
            key="name",
            title="name",
        ),
        Column(key="shape", title="shape", only="data"),
        Column(key="dtype", title="dtype", only="data"),
        Column(key="numel", title="count", only="data"),
        *(_figure(key) for key in ("mean", "std", "min", "max", "norm")),
        Column(
            key="zeros",
            title="zeros",
            align="right",
            get=_getter("stats", "zeros"),
            show=_show_share,
        ),
    ]
    for key, title in (("nan", "NaN"), ("inf", "Inf")):
        some = any(row.stats is not None and getattr(row.stats, key) for row in rows)
        column = Column(key=key, title=title, align="right", get=_getter("stats", key))
        columns.append(replace(column, show=show_count, only=None if some else "data"))
    if any(row.theory is not None for row in rows):
        columns += _theory_columns(only="data")[2:]
    return columns


def _theory_columns(*, only: Literal["data"] | None) -> list[Column]:
    """Return the columns of the second table; in TSV they stand at the end of the first."""
    fan_in = _number("fan_in", "fan-in", _getter("theory", "fan_in"), only=only)
    return [
        Column(
            key="name",
            title="name",
        ),
        Column(key="shape", title="shape", show=show_shape),
        *([] if only else [_figure("std")]),
        _number("expected_std", "expected", _getter("theory", "std"), only=only),
        replace(fan_in, show=show_count),
        _number("gain", "gain", _getter("theory", "gain"), only=only),
        _number("kaiming_std", "kaiming", _kaiming, only=only),
    ]


def _kaiming(row: ParamRow) -> float | None:
    """Return the std that keeps a signal's size through a layer and the ReLU behind it."""
    fan_in = row.theory.fan_in if row.theory is not None else None
    return math.sqrt(2 / fan_in) if fan_in else None


def _number(key: str, title: str, get: Getter, *, only: Literal["data"] | None = None) -> Column:
    return Column(key=key, title=title, align="right", get=get, show=show_number, only=only)


def _figure(key: str) -> Column:
    return _number(key, key, _getter("stats", key))


def _getter(part: str, key: str) -> Getter:
    def get(row: ParamRow) -> Any:
        held = getattr(row, part)
        return None if held is None else getattr(held, key)

    return get


def _show_share(share: float) -> str:
    if share == 0:
        return "0"
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def _remarks(rows: Sequence[ParamRow]) -> list[str]:
    """Say in words what the columns mean, and what is not as it should be."""
    theories = [(row, row.theory) for row in rows if row.theory is not None]
    schemes = sorted({t.scheme for _, t in theories if t.std is not None and t.scheme})
    lines = []
    if schemes:
        lines.append(f"Expected: the std that {_listed(schemes)} gives on average")
    if any(theory.gain is not None for _, theory in theories):
        lines.append("Gain: std x sqrt(fan-in); 1 keeps a signal's size through a linear layer")
        lines.append("Kaiming: the std that keeps it through a layer and a ReLU (gain 1.414)")
    off = [row.name for row, theory in theories if theory.off]
    if off:
        lines.append(f"not as expected, beyond chance: {_listed(off)}")
    return [*lines, *_odd_gains([(row, t) for row, t in theories if t.gain is not None])]


def _non_finite(rows: Sequence[ParamRow]) -> list[str]:
    bad = [row.name for row in rows if row.stats is not None and (row.stats.nan or row.stats.inf)]
    if bad:
        return [f"NaN or infinity in {plural(len(bad), 'tensor')}: {_listed(bad)}"]
    unread = sum(row.stats is None for row in rows)
    if unread:
        return [f"{plural(unread, 'tensor')} of a type whose values are not read here"]
    return ["no NaN, no infinity"] if rows else []


def _odd_gains(rows: Sequence[tuple[ParamRow, InitTheory]]) -> list[str]:
    low, high = _USUAL_GAIN
    small = [row.name for row, t in rows if t.gain is not None and t.gain < low]
    large = [row.name for row, t in rows if t.gain is not None and t.gain > high]
    lines = [f"a signal all but dies out in {_listed(small)}: gain below {low}"] if small else []
    if large:
        lines.append(f"a signal explodes in {_listed(large)}: gain above {high}")
    return lines


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"

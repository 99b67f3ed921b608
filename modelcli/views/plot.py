"""The curves of runs as a table, as JSON and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.errors import UsageError, did_you_mean
from modelcli.training.store.metrics import Curve
from modelcli.views.curve_files import save_png, svg_curves
from modelcli.views.curves import draw_curve, sparkline
from modelcli.views.table import Column, Table, table_of

PICTURES = (".svg", ".png")
_DRAWN_HEIGHT = 12


def curves_table(curves: Sequence[Curve], metric: str, *, width: int | None = None) -> Table:
    """Return a row for every run.

    Args:
        curves: one per run.
        metric: what was measured.
        width: draw the curves below, in so many columns; None does not.
    """
    notes: list[str] = []
    if width is not None:
        names = [curve.run for curve in curves]
        points = [curve.points for curve in curves]
        notes = draw_curve(points, width=width, height=_DRAWN_HEIGHT, names=names)
    columns = (
        Column(key="run", title="run"),
        Column(key="steps", title="steps", align="right"),
        Column(key="first", title=f"first {metric}", align="right", show=_number),
        Column(key="last", title="last", align="right", show=_number),
        Column(key="lowest", title="lowest", align="right", show=_number),
        Column(key="highest", title="highest", align="right", show=_number),
        Column(key="curve", title="", only="people"),
    )
    rows = [_Row.of(curve) for curve in curves]
    return table_of(columns, rows, notes=tuple(notes), spare=("curve", "highest", "lowest"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a table says of one curve."""

    run: str
    steps: int
    first: float
    last: float
    lowest: float
    highest: float
    curve: str

    @classmethod
    def of(cls, curve: Curve) -> _Row:
        values = [value for _, value in curve.points]
        return cls(
            run=curve.run,
            steps=int(curve.points[-1][0]),
            first=values[0],
            last=values[-1],
            lowest=min(values),
            highest=max(values),
            curve=sparkline(values, width=30),
        )


def _number(value: float) -> str:
    return f"{value:.4g}"


def curves_body(curves: Sequence[Curve], metric: str) -> dict[str, Any]:
    """Return the JSON document's own keys."""
    return {
        "metric": metric,
        "runs": [
            {"run": curve.run, "points": [[step, value] for step, value in curve.points]}
            for curve in curves
        ],
    }


def save_curves(curves: Sequence[Curve], metric: str, path: Path) -> None:
    """Draw the curves into an ``.svg`` or a ``.png``.

    Raises:
        UsageError: another suffix, or the file cannot be written.
        UnavailableError: a ``.png`` without matplotlib.
    """
    if path.suffix not in PICTURES:
        form = f"{path.with_suffix('')}{{}}"
        hint = did_you_mean(path.suffix, PICTURES, form, otherwise="name it .svg or .png")
        raise UsageError(f"plot writes .svg and .png, not '{path.name}'", hint)
    named = {curve.run: curve.points for curve in curves}
    try:
        if path.suffix == ".svg":
            path.write_text(svg_curves(named, title=metric), encoding="utf-8")
        else:
            save_png(named, path, title=metric)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot write '{path}': {reason}", "choose another --out") from None

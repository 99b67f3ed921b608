"""The curves of runs as a table, as JSON and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.training.store.metrics import Curve
from modelcli.views.curves import draw_curve, sparkline
from modelcli.views.pictures.chart import Line, chart
from modelcli.views.pictures.look import Drawing, Theme
from modelcli.views.pictures.saving import PICTURES, check_place, save_picture
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import plural

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
    held = any(curve.held_out for curve in curves)
    columns = (
        Column(key="run", title="run"),
        Column(key="steps", title="steps", align="right"),
        Column(key="first", title=f"first {metric}", align="right", show=_number),
        Column(key="last", title="last", align="right", show=_number),
        Column(key="lowest", title="lowest", align="right", show=_number),
        Column(key="highest", title="highest", align="right", show=_number),
        *([Column(key="held_out", title="held-out", align="right", show=_number)] if held else []),
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
    held_out: float | None
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
            held_out=curve.held_out[-1][1] if curve.held_out else None,
            curve=sparkline(values, width=30),
        )


def _number(value: float) -> str:
    return f"{value:.4g}"


def curves_body(curves: Sequence[Curve], metric: str) -> dict[str, Any]:
    """Return the JSON document's own keys."""
    return {
        "metric": metric,
        "runs": [
            {
                "run": curve.run,
                "model": curve.model or None,
                "points": [[step, value] for step, value in curve.points],
                "held_out": [[step, value] for step, value in curve.held_out],
            }
            for curve in curves
        ],
    }


def curve_lines(curves: Sequence[Curve]) -> list[Line]:
    """Return the lines of a chart: each run in its colour, what was held out dashed in the same."""
    names = short_names([curve.run for curve in curves])
    lines = []
    for number, (curve, name) in enumerate(zip(curves, names, strict=True)):
        both = len(curves) == 1 and curve.held_out
        lines.append(
            Line(name="training" if both else name, points=curve.points, colour=number,
                 whole=curve.run)
        )  # fmt: skip
        if curve.held_out:
            lines.append(
                Line(name="held-out" if both else name, points=curve.held_out, colour=number,
                     held_out=True, whole=curve.run)
            )  # fmt: skip
    return lines


def short_names(runs: Sequence[str]) -> list[str]:
    """Return the runs' folders without what all begin with."""
    parts = [Path(run).parts for run in runs]
    if len(set(parts)) < 2:
        return [Path(run).name or run for run in runs]
    shared = 0
    while all(len(part) > shared + 1 and part[shared] == parts[0][shared] for part in parts):
        shared += 1
    return [str(Path(*part[shared:])) for part in parts]


def draw_curves(curves: Sequence[Curve], metric: str, *, theme: Theme = "auto") -> Drawing:
    """Draw the curves of runs: the title says the models, the line below it the runs."""
    models = list(dict.fromkeys(curve.model for curve in curves if curve.model))
    title = f"{', '.join(models[:3])}: {metric}" if models else metric
    told = curves[0].run if len(curves) == 1 else plural(len(curves), "run")
    return chart(curve_lines(curves), title=title, subtitle=told, theme=theme)


def save_curves(
    curves: Sequence[Curve], metric: str, path: Path, *, option: str = "file", force: bool = True
) -> None:
    """Draw the curves into an ``.svg`` or a ``.png``.

    Raises:
        UsageError: another suffix, somebody else's file, or it cannot be written.
        UnavailableError: a ``.png`` without resvg-py and matplotlib.
    """
    check_place(path, PICTURES, option=option, force=force, command="plot")
    save_picture(path, lambda theme: draw_curves(curves, metric, theme=theme), option=option)

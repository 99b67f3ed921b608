"""``modelcli plot``: the curves of one run or several."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelcli.cli._options import FormatOption, QuietOption, VerboseOption
from modelcli.cli._output import Format, Output
from modelcli.cli._terminal import console_on, is_terminal
from modelcli.errors import UsageError, suggest
from modelcli.views.table import Column, Table

if TYPE_CHECKING:
    from modelcli.training.store.metrics import Curve

EXAMPLES = (
    "modelcli plot runs/lenet",
    "modelcli plot runs/a runs/b --metric accuracy",
    "modelcli plot runs/a runs/b --out curves.svg",
)


def command(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run directories, as train --out made them."),
    ],
    metric: Annotated[
        str,
        typer.Option(
            "--metric", "-m", metavar="NAME", help="loss, accuracy, lr, samples_per_s, ..."
        ),
    ] = "loss",
    out_file: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write an .svg, or a .png with the plot extra, in place of drawing.",
            show_default=False,
        ),
    ] = None,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw the curves of runs in the terminal, or into a file."""
    from modelcli.training.store.metrics import read_curve

    curves = [read_curve(Path(run), metric) for run in dict.fromkeys(runs)]
    out = Output(
        "plot", target=" ".join(runs), format=format or Format.TABLE, quiet=quiet, verbose=verbose
    )
    if out_file is not None:
        _write(curves, metric, Path(out_file))
        out.note(f"wrote {out_file}")
        return
    body = {
        "metric": metric,
        "runs": [
            {"run": curve.run, "points": [[step, value] for step, value in curve.points]}
            for curve in curves
        ],
    }
    out.result(body, _table(curves, metric))


def _table(curves: list[Curve], metric: str) -> Table:
    """Return a row for every run; on a terminal with the curves drawn below."""
    from modelcli.views.curves import draw_curve, sparkline

    notes: list[str] = []
    if is_terminal(sys.stdout):
        width = min(100, console_on(sys.stdout).width)
        names = [curve.run for curve in curves]
        notes = draw_curve([each.points for each in curves], width=width, height=12, names=names)
    columns = (
        Column(key="run", title="run"),
        Column(key="steps", title="steps", align="right"),
        Column(key="first", title=f"first {metric}", align="right", show=_number),
        Column(key="last", title="last", align="right", show=_number),
        Column(key="lowest", title="lowest", align="right", show=_number),
        Column(key="highest", title="highest", align="right", show=_number),
        Column(key="curve", title="", only="people"),
    )
    rows = []
    for curve in curves:
        values = [value for _, value in curve.points]
        spark = sparkline(values, width=30)
        ends = (values[0], values[-1], min(values), max(values))
        rows.append((curve.run, int(curve.points[-1][0]), *ends, spark))
    spare = ("curve", "highest", "lowest")
    return Table(columns=columns, rows=tuple(rows), notes=tuple(notes), spare=spare)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _write(curves: list[Curve], metric: str, path: Path) -> None:
    from modelcli.views.curves import save_png, svg_curves

    if path.suffix not in (".svg", ".png"):
        close = suggest(path.suffix, [".svg", ".png"])
        hint = f"did you mean '{path.with_suffix(close)}'?" if close else "name it .svg or .png"
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

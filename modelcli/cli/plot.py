"""``modelcli plot``: the curves of one run or several."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelcli.cli._format import Format, FormatOption
from modelcli.cli._options import ForceOption, QuietOption, VerboseOption
from modelcli.cli._output import Output
from modelcli.cli._terminal import console_on, is_terminal

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
            "-o",
            metavar="FILE",
            help="Write an .svg, or a .png with the plot extra, in place of drawing.",
            show_default=False,
        ),
    ] = None,
    force: ForceOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw the curves of runs in the terminal, or into a file."""
    from modelcli.training.store.metrics import read_curve
    from modelcli.views.plot import curves_body, curves_table, save_curves

    curves = [read_curve(Path(run), metric) for run in dict.fromkeys(runs)]
    out = Output(
        "plot", target=" ".join(runs), format=format or Format.TABLE, quiet=quiet, verbose=verbose
    )
    if out_file is not None:
        save_curves(curves, metric, Path(out_file), option="--out", force=force)
        out.note(f"wrote {out_file}")
        return
    width = min(100, console_on(sys.stdout).width) if is_terminal(sys.stdout) else None
    out.result(curves_body(curves, metric), curves_table(curves, metric, width=width))

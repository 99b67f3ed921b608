"""The live table of a run: a bar, and under it the last point beneath its headings."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelcli.cli._terminal import console_on
from modelcli.training.run.observer import Point

if TYPE_CHECKING:
    from rich.table import Table

_SPARKS = 16  # points of the sparkline


def live_table(
    point: Point, *, step: int, losses: Sequence[float], held_out: float | None, left: str
) -> Table:
    """Return the bar and the row.

    Args:
        point: the last one.
        step: how far the run has come since.
        losses: of all points, for a sparkline, which a narrow terminal leaves out.
        held_out: the last accuracy on held-out samples, from 0 to 1.
        left: the time that the rest takes.
    """
    from rich.box import SIMPLE_HEAD
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from modelcli.views.curves import sparkline

    digits = len(str(point.steps))
    cells = [*_epoch(point, step)]
    cells += [
        ("step", f"{step:>{digits}}/{point.steps}"),
        ("loss", f"{point.loss:<9.4g}"),
        ("", sparkline(losses, width=_SPARKS).ljust(min(_SPARKS, len(losses)))),
    ]
    if point.accuracy is not None:
        cells.append(("accuracy", f"{100 * point.accuracy:.1f} %"))
    if held_out is not None:
        cells.append(("held out", f"{100 * held_out:.1f} %"))
    cells += [("samples/s", f"{point.samples_per_s:,.0f}"), ("left", left)]
    console = console_on(sys.stderr)
    if sum(max(len(title), len(text)) + 2 for title, text in cells) > console.width:
        cells = [cell for cell in cells if cell[0]]  # the sparkline is what can be missed
    row = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for title, _ in cells:
        row.add_column(Text(title), justify="left" if title in ("loss", "") else "right",
                       no_wrap=True, style="cyan" if not title else "")  # fmt: skip
    row.add_row(*(Text(text) for _, text in cells))
    whole = Table.grid()
    bar = ProgressBar(total=point.steps, completed=step, width=min(60, console.width))
    whole.add_row(bar)
    whole.add_row(row)
    return whole


def _epoch(point: Point, step: int) -> list[tuple[str, str]]:
    """Return the pass over the samples that a step belongs to, where there are passes."""
    if not point.epochs:
        return []
    passes = max(1, math.ceil(point.epochs - 1e-9))
    now = min(passes, max(1, math.ceil(step * point.epochs / point.steps - 1e-9)))
    return [("epoch", f"{now:>{len(str(passes))}}/{passes}")]

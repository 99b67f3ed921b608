"""The progress of a run on stderr: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
from typing import TYPE_CHECKING, Any

from modelcli.cli._output import Output, is_terminal
from modelcli.cli._record import show_time, watched_lines

if TYPE_CHECKING:
    from modelcli.training.loop import Point
    from modelcli.training.measure import Score
    from modelcli.training.watch import Watched


class TrainProgress:
    """Shows points as they come.

    Args:
        out: where remarks go.
        lines: also write every point as a line of JSON to stdout.
    """

    def __init__(self, out: Output, *, lines: bool = False) -> None:
        self._out = out
        self._lines = lines
        self._stdout = sys.stdout  # what a model prints goes elsewhere while it trains
        self._live = is_terminal(sys.stderr) and not out.quiet
        self._drawn = False
        self._losses: list[float] = []
        self._held_out: float | None = None
        self._watches = False

    def point(self, point: Point) -> None:
        """Show a point."""
        self._losses.append(point.loss)
        if self._lines:
            with contextlib.redirect_stdout(self._stdout):
                self._out.text(json.dumps(point_body(point)))
        if self._live:
            self._draw(point)
        else:
            self._out.note(_plain(point))

    def detail(self, text: str) -> None:
        """Say what only a verbose run says."""
        self.clear()
        self._out.detail(text)

    def note(self, text: str) -> None:
        """Say something above the progress."""
        self.clear()
        self._out.note(text)

    def watched(self, rows: list[Watched]) -> None:
        """Show the parameters of an epoch, under headings that are written once."""
        self.clear()
        lines = watched_lines(rows)
        for line in lines[1:] if self._watches else lines:
            self._out.note(line)
        self._watches = True

    def scored(self, epoch: int, score: Score) -> None:
        """Show what the held-out samples gave after an epoch."""
        text = f"epoch {epoch}: held-out loss {score.loss:.6g}"
        if score.accuracy is not None:
            text += f", accuracy {100 * score.accuracy:.1f} %"
        if self._live:
            self._held_out = score.accuracy
            self._out.detail(text)
        else:
            self._out.note(text)

    def clear(self) -> None:
        """Take the live line away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False

    def _draw(self, point: Point) -> None:
        from modelcli.views.curves import sparkline

        width = shutil.get_terminal_size().columns
        done = point.step / point.steps
        bar_width = 20 if width >= 100 else 10
        bar = "━" * round(bar_width * done)
        bar += "─" * (bar_width - len(bar))
        parts = [
            f"{bar} {point.step:>{len(str(point.steps))}}/{point.steps}",
            f"loss {point.loss:<9.4g} {sparkline(self._losses, width=12):<12}",
        ]
        if point.accuracy is not None:
            parts.append(f"acc {100 * point.accuracy:5.1f} %")
        if self._held_out is not None:
            parts.append(f"held out {100 * self._held_out:5.1f} %")
        parts += [f"{point.samples_per_s:,.0f}/s", f"{show_time(_left(point))} left"]
        line = "  ".join(parts)[: width - 1]
        sys.stderr.write(f"\r{line}\x1b[K")
        sys.stderr.flush()
        self._drawn = True


def _plain(point: Point) -> str:
    digits = len(str(point.steps))
    parts = [f"step {point.step:>{digits}}/{point.steps}", f"loss {point.loss:<11.6g}"]
    if point.accuracy is not None:
        parts.append(f"accuracy {100 * point.accuracy:5.1f} %")
    parts += [f"lr {point.lr:<8.3g}", f"{point.samples_per_s:,.0f} samples/s"]
    return "  ".join(parts)


def _left(point: Point) -> float:
    return point.elapsed_s / point.step * (point.steps - point.step)


def point_body(point: Point) -> dict[str, Any]:
    """Return a point as it stands in a line of JSON."""
    return {
        "step": point.step,
        "loss": point.loss if math.isfinite(point.loss) else None,
        "accuracy": point.accuracy,
        "lr": point.lr,
        "samples_per_s": round(point.samples_per_s, 1),
        "elapsed_s": round(point.elapsed_s, 6),
    }

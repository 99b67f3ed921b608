"""The progress of a run on stderr: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from typing import TYPE_CHECKING, Any

from modelcli.cli._live import live_table
from modelcli.cli._output import Output
from modelcli.cli._terminal import console_on, is_terminal
from modelcli.training.run.observer import Observer, Point
from modelcli.views.train import show_time, watched_lines

if TYPE_CHECKING:
    from rich.live import Live

    from modelcli.training.run.measure import Score
    from modelcli.training.run.watch import Watched


class TrainProgress(Observer):
    """Shows points as they come.

    Args:
        out: where remarks go.
        lines: also write every point as a line of JSON to stdout.
    """

    def __init__(self, out: Output, *, lines: bool = False) -> None:
        self._out = out
        self._lines = lines
        self._stdout = sys.stdout  # what a model prints goes elsewhere while it trains
        self._is_live = is_terminal(sys.stderr) and not out.quiet
        self._live: Live | None = None
        self._last: Point | None = None
        self._step = 0
        self._began: tuple[int, float] | None = None
        self._losses: list[float] = []
        self._held_out: float | None = None
        self._watches = False

    def point(self, point: Point) -> None:
        """Show a point."""
        self._losses.append(point.loss)
        self._last = point
        if self._lines:
            with contextlib.redirect_stdout(self._stdout):
                self._out.text(json.dumps(point_body(point)))
        if self._is_live:
            self.tick(point.step)
        else:
            self._out.note(_plain(point))

    def tick(self, step: int) -> None:
        """Count steps on between two points."""
        self._step = step
        if self._began is None:
            self._began = (step, time.monotonic())
        if self._is_live and self._last is not None:
            self._draw()

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
        for line in lines[1:] if self._watches and not self._is_live else lines:
            self._out.note(line)
        self._watches = True

    def scored(self, epoch: int, score: Score) -> None:
        """Show what the held-out samples gave after an epoch."""
        text = f"epoch {epoch}: held-out loss {score.loss:.6g}"
        if score.accuracy is not None:
            text += f", accuracy {100 * score.accuracy:.1f} %"
        if self._is_live:
            self._held_out = score.accuracy
            self.detail(text)
        else:
            self._out.note(text)

    def clear(self) -> None:
        """Take the live table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> None:
        from rich.live import Live

        assert self._last is not None
        table = live_table(
            self._last,
            step=self._step,
            losses=self._losses,
            held_out=self._held_out,
            left=self._left(self._last.steps),
        )
        if self._live is None:
            self._live = Live(
                table,
                console=console_on(sys.stderr),
                transient=True,
                auto_refresh=False,
                redirect_stdout=False,  # what a model prints may go above it, and to its own stream
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
        else:
            self._live.update(table, refresh=True)

    def _left(self, steps: int) -> str:
        """Return the time that the rest takes at the pace of this process."""
        if self._began is None or self._step <= self._began[0]:
            return "?"
        first, began = self._began
        return show_time((time.monotonic() - began) / (self._step - first) * (steps - self._step))


def _plain(point: Point) -> str:
    digits = len(str(point.steps))
    parts = [f"step {point.step:>{digits}}/{point.steps}", f"loss {point.loss:<11.6g}"]
    if point.accuracy is not None:
        parts.append(f"accuracy {100 * point.accuracy:5.1f} %")
    parts += [f"lr {point.lr:<8.3g}", f"{point.samples_per_s:,.0f} samples/s"]
    return "  ".join(parts)


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

"""How ``train`` shows its record, and the sweep that found its learning rate."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from modelcli.cli._output import Output
from modelcli.cli._terminal import console_on, is_terminal
from modelcli.views.document import dump_json
from modelcli.views.train import record_body, record_table, watched_table
from modelcli.views.train_length import length_lines
from modelcli.views.train_verdict import advise

if TYPE_CHECKING:
    import torch

    from modelcli.config import RunConfig
    from modelcli.training.run.prepare import Run
    from modelcli.training.run.result import Record


def show_sweep(run: Run, out: Output) -> None:
    """Find the learning rate, and tell how."""
    from modelcli.training.run.find_lr import find_lr
    from modelcli.views.train_lr import sweep_lines

    width = min(80, console_on(sys.stderr).width) - 4
    for line in sweep_lines(find_lr(run), width=width):
        out.note(line)


def show(record: Record, out: Output, *, lines: bool) -> None:
    """Write the record of a run, as JSON lines where its progress was."""
    for advice in advise(record):
        out.note(advice)
    if lines:
        out.text(json.dumps({"record": json.loads(dump_json(record_body(record)))}))
    else:
        show_record(record, out)


def show_record(record: Record, out: Output) -> None:
    """Write the record of a run, with its curve where a person reads it."""
    table = record_table(record)
    if is_terminal(sys.stdout):
        from modelcli.views.curves import draw_curve

        points = [(point.step, point.loss) for point in record.points]
        width = min(80, console_on(sys.stdout).width) - 4  # within the frame
        curve = draw_curve([points], width=width)
        title = f"{record.target}, {record.objective} by step"
        table = dataclasses.replace(table, notes=tuple(curve), title=title, framed=True)
    last = [row for row in record.watched if row.step == record.watched[-1].step]
    tables = (table, watched_table(last)) if last else (table,)
    out.result(record_body(record), *tables)


def note_prediction(
    out: Output, config: RunConfig, device: torch.device, measured_bytes: int
) -> None:
    """Tell the peak that a pass without storage predicts beside the one that was measured."""
    from modelcli.planning.fitting import predicted_peak_bytes
    from modelcli.views.text import show_bytes

    predicted = predicted_peak_bytes(config, device)
    if predicted is not None and measured_bytes:
        out.note(
            f"memory: {show_bytes(measured_bytes)} at the peak, "
            f"{show_bytes(predicted)} predicted by 'modelcli memory'"
        )


def note_length(run: Run, out: Output, *, is_named: bool) -> None:
    """Say what is about to be trained where nothing was named, and how long a long run takes."""
    from modelcli.training.run.estimate import estimate_step_s

    if out.quiet:
        return
    step_s = estimate_step_s(run)
    for line in length_lines(
        run.config.model.target, run.data.name, run.steps, run.config.train.batch_size,
        step_s, is_named=is_named,
    ):  # fmt: skip
        out.note(line)

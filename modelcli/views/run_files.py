"""The files that say what a run came to: ``summary.json`` and ``curve.svg`` of its directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcli import __version__
from modelcli.training.store.metrics import points_of, read_metrics
from modelcli.views.document import dump_json
from modelcli.views.pictures.chart import Line, chart
from modelcli.views.train import record_body

if TYPE_CHECKING:
    from modelcli.training.run.result import Record
    from modelcli.training.store.run_dir import RunDir


def write_results(directory: RunDir, record: Record) -> None:
    """Write the record of a run, as ``train --format json`` shows it, and the curve of its loss."""
    import torch

    envelope = {
        "schema": "modelcli.train/1",
        "modelcli": __version__,
        "torch": str(torch.__version__),
        "target": record.target,
    }
    directory.write_text("summary.json", dump_json({**envelope, **record_body(record)}) + "\n")
    curve = [(float(point.step), point.loss) for point in record.points]
    held_out = points_of(read_metrics(directory.path), "held_out_loss")
    lines = [Line(name="training" if held_out else "loss", points=curve)]
    if held_out:
        lines.append(Line(name="held-out", points=held_out, held_out=True))
    drawing = chart(lines, title=f"{record.target}: loss", subtitle=record.objective)
    directory.write_text("curve.svg", drawing.svg)

"""The files that say what a run came to: ``summary.json`` and ``curve.svg`` of its directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcli import __version__
from modelcli.views.curve_files import svg_curves
from modelcli.views.document import dump_json
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
    title = f"{record.target}: {record.objective}"
    directory.write_text("curve.svg", svg_curves({"loss": curve}, title=title))

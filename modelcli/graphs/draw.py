"""From a trace to nested boxes, ready to be laid out: built, folded, divided."""

from __future__ import annotations

from modelcli.graphs.fold import fold
from modelcli.graphs.hierarchy import build_boxes
from modelcli.graphs.parts import divide
from modelcli.graphs.record import Box
from modelcli.tracing.record import Trace


def nested_boxes(trace: Trace, *, folds: bool = True, show_all: bool = False) -> Box:
    """Return the boxes of a pass as a picture shows them; the outermost is the model itself.

    Args:
        trace: one observed pass.
        folds: draw blocks that repeat one after another once, with their number.
        show_all: also show functions that only move data.
    """
    root = build_boxes(trace, show_all=show_all)
    if folds:
        fold(root)
    divide(root)
    return root

"""``modelcli.shapes``: sizes of feature maps and receptive fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import observed
from modelcli.feature_maps.flow import trace_rows
from modelcli.feature_maps.row import MapRow
from modelcli.tracing.record import Trace
from modelcli.views.shapes import shapes_body, shapes_table
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FeatureMaps(Shown):
    """The feature maps of a model.

    Attributes:
        trace: everything that the pass has left.
        rows: one per layer that changes a map, with its formula and receptive field.
    """

    trace: Trace
    rows: tuple[MapRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the rows that ``modelcli shapes --format json`` writes."""
        return shapes_body(self.rows)

    def tables(self) -> tuple[Table, ...]:
        """Return the table of the command."""
        return (shapes_table(self.rows),)


def shapes(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    batch_size: int | None = None,
    allow_real: bool = False,
) -> FeatureMaps:
    """Compute every feature map of a model: its size, its formula, what one cell sees.

    Args:
        model: a module, or a target as on the command line.
        inputs: as `summary` takes them.
        batch_size: replaces the first dimension, where no inputs are given.
        allow_real: run for real, if it must be, whatever memory that takes.

    Raises:
        UsageError: the inputs do not fit ``forward``, or none could be inferred.
        TargetError, UnavailableError: a target that leads to no model.
    """
    trace = observed(model, inputs, batch_size=batch_size, allow_real=allow_real)
    return FeatureMaps(trace=trace, rows=trace_rows(trace))

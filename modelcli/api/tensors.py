"""``modelcli.params`` and ``modelcli.diff``: named tensors, of a module, a target or a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import module_of
from modelcli.loading.target import Target, TargetKind, parse_target
from modelcli.modules import modules_of
from modelcli.tensors.causes import find_causes
from modelcli.tensors.compare import Difference
from modelcli.tensors.open import BuildOptions, Opened, open_target
from modelcli.tensors.rows import ParamRow, Totals, model_rows, select_rows, sum_rows
from modelcli.tensors.sides import compare_sides
from modelcli.tracing.survey import packed_elements, survey
from modelcli.views.diff import diff_body, diff_tables
from modelcli.views.params import params_body, params_table, totals_lines
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Parameters(Shown):
    """The named tensors of a model or a checkpoint.

    Attributes:
        rows: one per tensor that was asked for.
        totals: their sums, every tensor counted once.
        packed: weights of quantised layers, which have no name; None for a checkpoint.
    """

    rows: tuple[ParamRow, ...]
    totals: Totals
    packed: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the rows and totals that ``modelcli params --format json`` writes."""
        body = params_body(self.rows, self.totals)
        if self.packed is not None:
            body["totals"]["packed_params"] = self.packed
        return body

    def tables(self) -> tuple[Table, ...]:
        """Return the table of the command."""
        return (params_table(self.rows, self.totals),)

    def caption(self) -> str:
        """Return the totals in a line."""
        return totals_lines(self.rows, self.totals)[0]


def params(
    model: nn.Module | str,
    *,
    match: str | None = None,
    trainable: bool | None = None,
    buffers: bool = False,
    sort: str | None = None,
    key: str | None = None,
) -> Parameters:
    """List the parameters of a model, or the tensors of a checkpoint. No value is read.

    Args:
        model: a module, or a target as on the command line (``"lenet"``, ``"weights.pt"``).
        match: a glob pattern on names.
        trainable: True keeps trainable parameters, False frozen ones, None both.
        buffers: keep buffers too.
        sort: ``"name"`` or ``"numel"``; None keeps the model's own order.
        key: which dictionary of a ``.pt`` file.

    Raises:
        ModelcliError: what is wrong with the target.
    """
    opened = _open(model, key=key)
    rows = select_rows(opened.rows, match=match, trainable=trainable, buffers=buffers, sort=sort)
    packed = opened.packed if opened.checkpoint is None else None
    return Parameters(rows=tuple(rows), totals=sum_rows(rows), packed=packed)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison(Shown):
    """What two sides do not have in common.

    Attributes:
        difference: names, shapes, types and, if asked for, values that differ.
        a: what A was called.
        b: what B was called.
        values: whether values were compared.
    """

    difference: Difference
    a: str
    b: str
    values: bool = False

    @property
    def identical(self) -> bool:
        """Whether everything that was compared is the same."""
        return self.difference.identical

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli diff --format json`` writes."""
        hints = find_causes(self.difference, a="A", b="B", values=self.values)
        return diff_body(self.difference, hints, a=self.a, b=self.b)

    def tables(self) -> tuple[Table, ...]:
        """Return the tables of the command."""
        hints = find_causes(self.difference, a="A", b="B", values=self.values)
        return diff_tables(self.difference, hints, a=self.a, b=self.b)


def diff(a: nn.Module | str, b: nn.Module | str, *, values: bool = False) -> Comparison:
    """Compare the names, shapes and types of two models or checkpoints.

    Args:
        a: a module, or a target as on the command line.
        b: likewise.
        values: compare values too; a target that is a model is then built for real.

    Raises:
        ModelcliError: what is wrong with a target.
    """
    sides = (_open(a, values=values), _open(b, values=values))
    difference = compare_sides(sides, values=values)
    names = [side.target.text for side in sides]
    return Comparison(difference=difference, a=names[0], b=names[1], values=values)


def _open(model: nn.Module | str, *, key: str | None = None, values: bool = False) -> Opened:
    if isinstance(model, str):
        target = parse_target(model)
        real = values and target.kind is not TargetKind.CHECKPOINT
        return open_target(target, key=key, options=BuildOptions() if real else None)
    model = module_of(model, "a list of tensors")
    kind = type(model)
    return Opened(
        target=Target(
            text=kind.__name__, kind=TargetKind.IMPORT, place=kind.__module__,
            attribute=kind.__name__,
        ),
        rows=tuple(model_rows(survey(model))),
        model=model,
        packed=sum(packed_elements(module) for module in modules_of(model)),
    )  # fmt: skip

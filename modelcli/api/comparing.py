"""``modelcli.compare``: one row a model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import source_for
from modelcli.comparing.measure import measure_source
from modelcli.comparing.options import MeasureOptions
from modelcli.comparing.row import ModelRow
from modelcli.comparing.sweep import sweep
from modelcli.comparing.targets import expand
from modelcli.loading.types import Mode
from modelcli.views.compare import Choice, choose_rows, compare_body, compare_table, read_choice
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Compared(Shown):
    """One row a model.

    Attributes:
        all_rows: every model, in the order in which they were named.
        choice: which of them are shown, and in which order.
    """

    all_rows: tuple[ModelRow, ...]
    choice: Choice

    @property
    def rows(self) -> tuple[ModelRow, ...]:
        """The rows that are shown."""
        return tuple(choose_rows(self.all_rows, self.choice)[0])

    def to_dict(self) -> dict[str, Any]:
        """Return the rows that ``modelcli compare --format json`` writes."""
        return compare_body(self.all_rows, self.choice)

    def tables(self) -> tuple[Table, ...]:
        """Return the table of the command."""
        return (compare_table(self.all_rows, self.choice),)


def compare(
    models: Sequence[nn.Module | str],
    *,
    where: str | None = None,
    sort: str | None = None,
    columns: Sequence[str] | None = None,
    top: int | None = None,
    input: Sequence[str] = (),
    batch_size: int | None = None,
    mode: Mode = "eval",
    jobs: int = 1,
    allow_real: bool = False,
) -> Compared:
    """Compare models: sizes and costs, one row each.

    Args:
        models: modules, targets as on the command line, or patterns (``"timm:resnet*"``).
        where: a condition on the rows that are shown: ``"params < 30M and macs < 5e9"``.
        sort: a column, as ``"macs"`` or ``"params:asc"``.
        columns: the only columns that are shown.
        top: how many rows are shown.
        input: the inputs of every model, as ``--input`` takes them; by default each has its own.
        batch_size: replaces the first dimension of every input.
        mode: the training flag.
        jobs: processes that measure targets; modules are measured in this one.
        allow_real: run for real, if it must be, whatever memory that takes.

    Returns:
        The rows. A model that fails is a row with its ``error``.

    Raises:
        UsageError: a pattern matches nothing, or an option is wrong.
        TargetError: a target is malformed.
    """
    choice = read_choice(",".join(columns) if columns is not None else None, where, sort, top)
    options = MeasureOptions(
        inputs=tuple(input), batch_size=batch_size, mode=mode, allow_real=allow_real,
        field="receptive_field" in choice.asked, peak="peak_bytes" in choice.asked,
        time="latency_s" in choice.asked,
    )  # fmt: skip
    words = dict.fromkeys(model for model in models if isinstance(model, str))
    named = {word: expand([word]) for word in words}
    targets = list(dict.fromkeys(target for found in named.values() for target in found))
    measured = {row.target: row for row in sweep(targets, options, jobs=jobs)}
    rows: list[ModelRow] = []
    for model in models:
        if isinstance(model, str):
            rows += [measured.pop(target) for target in named[model] if target in measured]
        else:
            find = functools.partial(source_for, model)
            rows.append(measure_source(type(model).__name__, find, options))
    return Compared(all_rows=tuple(rows), choice=choice)

"""One list of tensors: opened, filtered, sorted, measured and summed, as ``params`` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelcli.tensors.open import BuildOptions, Opened, open_target
from modelcli.tensors.rows import ParamRow, Totals, select_rows, sum_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorList:
    """The tensors of a target.

    Attributes:
        opened: where they are from.
        rows: those that were asked for, in order.
        totals: sums over the rows, every tensor counted once.
    """

    opened: Opened
    rows: tuple[ParamRow, ...]
    totals: Totals


def list_tensors(
    target: str,
    *,
    stats: bool = False,
    values: bool = False,
    key: str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    options: BuildOptions | None = None,
    match: str | None = None,
    trainable: bool | None = None,
    buffers: bool = False,
    sort: str | None = None,
) -> TensorList:
    """List the parameters of a model, or the tensors of a checkpoint.

    Args:
        target: a model or a checkpoint, as it is typed.
        stats: gather statistics of the values, which builds a model for real.
        values: build a model for real, so that `open_values` can read its values.
        key: which dictionary of a ``.pt`` file.
        model_kwargs: arguments of the model's constructor; None where none were given.
        options: how to build a model for its values.
        match: a glob pattern on names.
        trainable: True keeps trainable parameters, False frozen ones, None both.
        buffers: list buffers too.
        sort: ``name`` or ``numel``; None keeps the order of the model or the file.

    Raises:
        ModelcliError: what is wrong with the target, or with an option for it.
    """
    built = options or BuildOptions()
    opened = open_target(
        target, key=key, model_kwargs=model_kwargs, options=built if stats or values else None
    )
    rows = select_rows(opened.rows, match=match, trainable=trainable, buffers=buffers, sort=sort)
    if stats:
        from modelcli.tensors.stats import with_stats

        rows = with_stats(opened, rows, built)
    return TensorList(opened=opened, rows=tuple(rows), totals=sum_rows(rows))

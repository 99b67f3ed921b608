"""The columns of a summary: those that it usually has, or those that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.tracing.record import Node
from modelcli.views.summary_choices import (
    Choice,
    Facts,
    choice_of,
    marked_type,
    output_of,
)
from modelcli.views.summary_cut import Shown
from modelcli.views.table import Column
from modelcli.views.text import show_cost, show_count, show_shapes

_INDENT = "  "
NOT_PRINTED = "*"  # beside the name of a row that print(model) does not show


def usual_columns(shown: Shown, *, backward: bool = True) -> tuple[Column, ...]:
    """Return what a summary has unless columns are asked for, in every format.

    Args:
        shown: the rows.
        backward: whether people and TSV see the column of the backward pass.
    """
    return (
        *leading_columns(shown),
        Column(key="depth", title="depth", only="data"),
        Column(key="kind", title="kind", only="data"),
        Column(key="type", title="type", get=marked_type(shown), only="text"),
        Column(key="type", title="type", only="json"),
        Column(key="calls", title="calls", only="data"),
        Column(key="input_shapes", title="input", show=show_shapes),
        Column(key="output_shapes", title="output", get=output_of, show=show_shapes, only="text"),
        Column(key="output_shapes", title="output", only="json"),
        Column(key="params", title="params", get=_params, align="right", only="people"),
        Column(key="params", title="params", only="data"),
        Column(key="own_params", title="own params", only="json"),
        Column(key="tied_params", title="tied params", only="json"),
        Column(key="trainable_params", title="trainable", only="json"),
        Column(key="buffers", title="buffers", only="json"),
        Column(key="macs", title="MACs", align="right", show=show_cost),
        Column(key="flops", title="FLOPs", only="json"),
        Column(key="own_macs", title="own MACs", only="json"),
        Column(key="backward_flops", title="backward FLOPs", align="right", show=show_cost,
               only=None if backward else "json"),
        *_other_column(shown),
        Column(key="output_bytes", title="output bytes", only="json"),
        Column(key="executed", title="executed", only="json"),
        Column(key="shared_with", title="shared with", only="json"),
        Column(key="plumbing", title="plumbing", only="json"),
        Column(key="printed", title="printed", only="json"),
        Column(key="uncounted", title="uncounted", only="json"),
    )  # fmt: skip


def _other_column(shown: Shown) -> tuple[Column, ...]:
    """Return the column of what is free by convention, if the pass has counted it."""
    if shown.trace.totals.other_flops is None:
        return ()
    column = Column(key="other_flops", title="other FLOPs", align="right", show=show_cost)
    return (column,)


def leading_columns(shown: Shown) -> tuple[Column, ...]:
    """Return the columns that name a row, which every summary begins with."""

    def layer(node: Node) -> str:
        name = shown.full_label(node) if shown.is_list else shown.label(node)
        indent = "" if shown.is_list else _INDENT * node.depth
        return f"{indent}{name}" + ("" if node.printed else f" {NOT_PRINTED}")

    columns = (
        Column(key="layer", title="layer", get=layer, only="people"),
        Column(key="path", title="path", only="data"),
    )  # fmt: skip
    if not shown.counts:
        return columns

    def last_path(node: Node) -> str | None:
        repeat = shown.repeats.get(node.index)
        return repeat.last_path if repeat else None

    return (
        *columns,
        Column(key="last_path", title="last path", get=last_path, only="data"),
        Column(key="repeat", title="repeat", only="data",
               get=lambda node: shown.counts.get(node.index, 1)),
    )  # fmt: skip


def _params(node: Node) -> str:
    """Write the parameters counted here, or where those of a shared row are counted."""
    text = show_count(node.params) if node.params else "-"
    if not node.executed:
        return f"{text}  never run"
    if node.shared_with is not None:
        same = f"= {node.shared_with or 'the model itself'}"
        return f"({show_count(node.tied_params)}) {same}" if node.tied_params else same
    if node.tied_params and node.kind == "module" and not node.params:
        return f"({show_count(node.tied_params)}) tied"
    return text


def chosen_columns(shown: Shown, names: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns that were asked for, behind the one that names the row."""
    facts = Facts(shown)
    return (*leading_columns(shown), *(_column(facts, choice_of(name)) for name in names))


def json_columns(shown: Shown, names: Sequence[str]) -> tuple[Column, ...]:
    """Return the usual columns, which JSON always has, and of those asked for what is new."""
    usual = usual_columns(shown)
    known = {column.key for column in usual}
    more = chosen_columns(shown, names)
    return (*usual, *(column for column in more if column.key not in known))


def _column(facts: Facts, choice: Choice) -> Column:
    def value(node: Node) -> Any:
        return choice.value(facts, node)

    return Column(
        key=choice.key or choice.name,
        title=choice.title,
        get=value,
        show=choice.show,
        align="right" if choice.is_number else "left",
    )

"""Feature maps: one row per layer that changes one, at one input size or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from typing import Any

from modelcli.feature_maps.row import MapRow, channels_of
from modelcli.tracing.record import Trace
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import show_axes, show_bytes, show_count, show_dims


def shapes_table(rows: Sequence[MapRow], *, notes: Sequence[str] = ()) -> Table:
    """Return the rows as a table; a column in which every cell is empty is left out.

    Args:
        rows: one per layer.
        notes: lines to print below.
    """
    shown = [
        column
        for column in _COLUMNS
        if column.key in _NEEDED or any(column.value(row) for row in rows)
    ]
    legend = tuple((key, line) for key, line in _LEGEND if key in [c.key for c in shown])
    return table_of(
        [*shown, *_DATA_COLUMNS],
        rows,
        notes=(*notes, *(line for _, line in legend)),
        legend=legend,
        title="feature maps",
        styles=tuple("dim" if row.result.formula == "kept" else "" for row in rows),
        spare=("activation_bytes", "jump", "formula", "type", "share", "dilation", "unseen"),
    )


def shapes_body(rows: Sequence[MapRow]) -> dict[str, Any]:
    """Return the rows as JSON; per-axis values are lists, outermost axis first."""
    return {"rows": [{key: get(row) for key, get in _DATA.items()} for row in rows]}


def notes_on(trace: Trace, rows: Sequence[MapRow]) -> list[str]:
    """Return the lines below the rows of a model: its input, and what to know of its branches."""
    inputs = ", ".join(
        f"{record.name}: {record.dtype} {show_dims(record.shape)} ({record.origin})"
        for record in trace.inputs
    )
    lines = [f"input   {inputs}"]
    if not rows:
        if trace.failure is None:  # else the error says where it ended
            lines.append("note    no layer of this model changes a feature map")
        return lines
    differ = next((row.path for row in rows if row.field.differ), None)
    if differ is not None:
        lines.append(
            f"note    branches that see different extents meet before '{differ}': from there on "
            "the largest is shown"
        )
    lines.extend(f"note    {remark}" for remark in trace.remarks)
    return lines


def sizes_table(
    labels: Sequence[str], columns: Sequence[Sequence[MapRow]], *, notes: Sequence[str] = ()
) -> Table:
    """Return one row per layer and one output column per input size.

    Args:
        labels: how each size was asked for.
        columns: the rows of each size. A layer that did not run at a size is left empty there.
        notes: lines to print below.
    """
    known = [_by_path(rows) for rows in columns]
    paths = dict.fromkeys(key for rows in sorted(known, key=len, reverse=True) for key in rows)
    cells = []
    for key in paths:
        found = [rows.get(key) for rows in known]
        ran = [row for row in found if row is not None]
        fields = list(dict.fromkeys(show_axes(row.receptive_field) for row in ran))
        outputs = [None if row is None else list(row.result.output_shape) for row in found]
        cells.append((ran[0].path, ran[0].type, " / ".join(fields), *outputs))
    return Table(
        columns=(
            Column(key="path", title="layer"),
            Column(key="type", title="type", style="cyan"),
            Column(key="receptive_field", title="field", align="right", style="green"),
            *(Column(key=label, title=label, show=show_dims) for label in labels),
        ),
        rows=tuple(cells),
        notes=tuple(notes),
        title="feature maps",
    )


def sizes_body(labels: Sequence[str], columns: Sequence[Sequence[MapRow]]) -> dict[str, Any]:
    """Return the rows of every size as JSON; ``rows`` are those of the first."""
    bodies = [shapes_body(rows)["rows"] for rows in columns]
    return {
        "rows": bodies[0] if bodies else [],
        "sizes": [
            {"input": label, "rows": rows} for label, rows in zip(labels, bodies, strict=True)
        ],
    }


def _by_path(rows: Sequence[MapRow]) -> dict[tuple[str, int], MapRow]:
    """Return the rows by path and turn: a layer that runs twice counts twice."""
    found: dict[tuple[str, int], MapRow] = {}
    turns: dict[str, int] = {}
    for row in rows:
        turns[row.path] = turns.get(row.path, -1) + 1
        found[row.path, turns[row.path]] = row
    return found


def show_share(share: float) -> str:
    """Write a share of the input: ``2.4%``, ``100%``."""
    percent = 100 * share
    return f"{percent:.0f}%" if percent >= 99.95 else f"{percent:.2g}%"


def _each_axis(name: str) -> Callable[[MapRow], list[Any]]:
    return lambda row: [getattr(axis, name) for axis in row.result.axes]


def _numbers(name: str) -> Callable[[MapRow], list[Any] | None]:
    """Return what gives one number per axis for programs, None where an axis has none."""
    get = _each_axis(name)
    return lambda row: None if not get(row) or None in get(row) else get(row)


def _paddings(row: MapRow) -> list[Any] | None:
    pairs = _each_axis("padding")(row)
    if not pairs or None in pairs:
        return None
    even = all(before == after for before, after in pairs)
    return [before if even else [before, after] for before, after in pairs]


def _show_padding(row: MapRow) -> str:
    pairs = [pair or ("", "") for pair in _each_axis("padding")(row)]
    texts = [str(a) if a == b else f"{a}+{b}" for a, b in pairs]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def _show_dilation(row: MapRow) -> str:
    values = _each_axis("dilation")(row)
    return "" if all(value in (None, 1) for value in values) else show_axes(values)


def _some(values: Sequence[Any]) -> list[Any] | None:
    """Return the values, None where no axis has one."""
    return None if values and all(value is None for value in values) else list(values)


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else round(float(value), 6)


def _without_batch(row: MapRow, shape: Sequence[int]) -> str:
    return show_dims(shape[1:] if row.batched and shape[0] == 1 and len(shape) > 1 else shape)


def _activation(row: MapRow) -> str:
    if row.activation_bytes is not None:
        return show_bytes(row.activation_bytes)
    return show_count(prod(row.result.output_shape))


def _flat(value: Any) -> Any:
    """Return a value as TSV can hold it."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        if not any(value):
            return None
        return ",".join("-".join(str(part) for part in item) for item in value)
    if isinstance(value, list) and None in value:
        return ["" if item is None else str(item) for item in value]
    return value


def _flattened(get: Callable[[MapRow], Any]) -> Callable[[MapRow], Any]:
    return lambda row: _flat(get(row))


_DATA: dict[str, Callable[[MapRow], Any]] = {
    "path": lambda row: row.path,
    "type": lambda row: row.type,
    "input": lambda row: list(row.result.input_shape),
    "kernel": _numbers("kernel"),
    "stride": _numbers("stride"),
    "padding": _paddings,
    "dilation": _numbers("dilation"),
    "output": lambda row: list(row.result.output_shape),
    "receptive_field": lambda row: list(row.receptive_field),
    "jump": lambda row: _some([_number(jump) for jump in row.jump]),
    "start": lambda row: _some(row.start),
    "unseen": lambda row: list(row.unseen),
    "unseen_at": lambda row: [[list(span) for span in axis.unseen] for axis in row.result.axes],
    "formula": lambda row: row.formula,
    "channels": lambda row: {"in": channels_of(row, 0), "out": channels_of(row, 1)},
    "activation_numel": lambda row: prod(row.result.output_shape),
    "activation_bytes": lambda row: row.activation_bytes,
    "share": lambda row: row.share,
    "branches_differ": lambda row: row.field.differ,
}
_DATA_COLUMNS = tuple(
    Column(key=key, title=key, only="data", get=_flattened(get)) for key, get in _DATA.items()
)


def _column(
    key: str, title: str, get: Callable[[MapRow], str], style: str = "", right: bool = False
) -> Column:
    return Column(
        key=key, title=title, get=get, only="people", align="right" if right else "left",
        style=style, prose=key == "formula",
    )  # fmt: skip


_COLUMNS = (
    _column("path", "layer", lambda row: row.path),
    _column("type", "type", lambda row: row.type, "cyan"),
    _column("input", "input", lambda row: _without_batch(row, row.result.input_shape)),
    _column("kernel", "kernel", lambda row: show_axes(_each_axis("kernel")(row))),
    _column("stride", "stride", lambda row: show_axes(_each_axis("stride")(row))),
    _column("padding", "pad", lambda row: _show_padding(row) if row.result.axes else ""),
    _column("dilation", "dilation", _show_dilation),
    _column("output", "output", lambda row: _without_batch(row, row.result.output_shape), "bold"),
    _column("receptive_field", "field", lambda row: show_axes(row.receptive_field), "green", True),
    _column("jump", "jump", lambda row: show_axes(row.jump), right=True),
    _column("unseen", "unseen", lambda row: show_axes(row.unseen) if any(row.unseen) else "",
            right=True),
    _column("share", "sees", lambda row: "" if row.share is None else show_share(row.share),
            right=True),
    _column("activation_bytes", "activation", _activation, right=True),
    _column("formula", "formula", lambda row: row.formula, "dim"),
)  # fmt: skip
_NEEDED = ("path", "input", "output")
_LEGEND = (
    ("receptive_field", "field   cells of the input that one cell sees"),
    ("jump", "jump    how far apart in the input two neighbours look"),
    ("share", "sees    share of the input that the cell in the middle sees"),
    ("unseen", "unseen  rows and columns of a layer's input that no window covers"),
)

"""The table of feature maps, as wide as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from modelcli.feature_maps.row import MapRow
from modelcli.views.shapes import row_body
from modelcli.views.table import Column, Table
from modelcli.views.text import show_bytes, show_count, show_dims

# left out one after the other, in this order, where the table would not fit
_DISPENSABLE = ("activation", "jump", "type", "share", "formula", "dilation", "unseen")

_Entry = tuple[str, str, bool, list[str]]  # key, title, whether flush right, cells


def shapes_table(
    rows: Sequence[MapRow],
    *,
    notes: Sequence[str] = (),
    width: int | None = None,
    data: bool = True,
) -> Table:
    """Return the rows as a table.

    Args:
        rows: one per layer.
        notes: lines to print below.
        width: columns of the terminal; what does not fit is left out for people. None keeps all.
        data: whether the columns for programs are wanted too.
    """
    shown = [(key, title, align, [cell(row) for row in rows]) for key, title, align, cell in _SHOWN]
    shown = [entry for entry in shown if entry[0] in _NEEDED or any(entry[3])]
    kept, dropped = _fit(shown, width)
    bodies = [row_body(row) if data else {} for row in rows]
    keys = list(bodies[0]) if bodies else []
    columns = (
        *(
            Column(key=key, title=title, align="right" if right else "left", only="people",
                   style=_STYLES.get(key, ""), prose=key == "formula")
            for key, title, right, _ in kept
        ),
        *(Column(key=key, title=key, only="data") for key in keys),
    )  # fmt: skip
    cells = [
        (*(entry[3][i] for entry in kept), *(_flat(bodies[i][key]) for key in keys))
        for i in range(len(rows))
    ]
    more = [*notes, *(line for key, line in _LEGEND if key in [entry[0] for entry in kept])]
    if dropped:
        more.append(f"note    no room for {', '.join(dropped)}; widen, pipe or --explain")
    styles = tuple("dim" if row.result.formula == "kept" else "" for row in rows)
    return Table(
        columns=columns, rows=tuple(cells), notes=tuple(more), title="feature maps", styles=styles
    )


def _flat(value: Any) -> Any:
    """Return a value as TSV can hold it."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        if not any(value):
            return None
        return ",".join("-".join(str(part) for part in item) for item in value)
    if isinstance(value, list) and any(item is None for item in value):
        return ["" if item is None else str(item) for item in value]
    return value


def _fit(entries: list[_Entry], width: int | None) -> tuple[list[_Entry], list[str]]:
    """Leave columns out until the rest fits; then take back those for which there is room."""
    gone: list[str] = []
    for key in _DISPENSABLE:
        if width is None or _width(_without(entries, gone)) <= width:
            break
        gone.append(key)
    for key in reversed(gone):
        fewer = [other for other in gone if other != key]
        if width is not None and _width(_without(entries, fewer)) <= width:
            gone = fewer
    titles = [entry[1] for entry in entries if entry[0] in gone]
    return _without(entries, gone), titles


def _without(entries: Sequence[_Entry], gone: Sequence[str]) -> list[_Entry]:
    return [entry for entry in entries if entry[0] not in gone]


def _width(entries: Sequence[_Entry]) -> int:
    return sum(max([len(title), *map(len, cells)]) + 2 for _, title, _, cells in entries) - 2


def show_axes(values: Sequence[int | Fraction | None] | None) -> str:
    """Write one value per axis: ``7`` where they agree, ``5x3`` where not, nothing for none."""
    if not values or all(value is None for value in values):
        return ""
    texts = ["-" if value is None else show_fraction(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def show_fraction(value: int | Fraction) -> str:
    """Write a whole number or a fraction: ``2``, ``1/2``."""
    return str(value)


def _axis_values(name: str) -> Callable[[MapRow], str]:
    def cell(row: MapRow) -> str:
        return show_axes([getattr(axis, name) for axis in row.result.axes])

    return cell


def _padding(row: MapRow) -> str:
    pairs = [axis.padding for axis in row.result.axes]
    texts = [
        "" if pair is None else str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}+{pair[1]}"
        for pair in pairs
    ]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def _dilation(row: MapRow) -> str:
    values = [axis.dilation for axis in row.result.axes]
    return "" if all(value in (None, 1) for value in values) else show_axes(values)


def _without_batch(row: MapRow, side: int) -> str:
    shape = (row.result.input_shape, row.result.output_shape)[side]
    return show_dims(shape[1:] if row.batched and shape[0] == 1 and len(shape) > 1 else shape)


def _unseen(row: MapRow) -> str:
    return show_axes(row.unseen) if any(row.unseen) else ""


def _share(row: MapRow) -> str:
    return "" if row.share is None else show_share(row.share)


def show_share(share: float) -> str:
    """Write a share of the input: ``2.4%``, ``100%``."""
    percent = 100 * share
    return f"{percent:.0f}%" if percent >= 99.95 else f"{percent:.2g}%"


def _activation(row: MapRow) -> str:
    if row.activation_bytes is not None:
        return show_bytes(row.activation_bytes)
    size = 1
    for number in row.result.output_shape:
        size *= number
    return show_count(size)


# key, title, flush right, cell
_SHOWN: tuple[tuple[str, str, bool, Callable[[MapRow], str]], ...] = (
    ("layer", "layer", False, lambda row: row.path),
    ("type", "type", False, lambda row: row.type),
    ("input", "input", False, lambda row: _without_batch(row, 0)),
    ("kernel", "kernel", False, _axis_values("kernel")),
    ("stride", "stride", False, _axis_values("stride")),
    ("padding", "pad", False, _padding),
    ("dilation", "dilation", False, _dilation),
    ("output", "output", False, lambda row: _without_batch(row, 1)),
    ("field", "field", True, lambda row: show_axes(row.receptive_field)),
    ("jump", "jump", True, lambda row: show_axes(row.jump)),
    ("unseen", "unseen", True, _unseen),
    ("share", "sees", True, _share),
    ("activation", "activation", True, _activation),
    ("formula", "formula", False, lambda row: row.formula),
)
_LEGEND = (
    ("field", "field   cells of the input that one cell sees"),
    ("jump", "jump    how far apart in the input two neighbours look"),
    ("share", "sees    share of the input that the cell in the middle sees"),
    ("unseen", "unseen  rows and columns of a layer's input that no window covers"),
)
_NEEDED = ("layer", "input", "output")
_STYLES = {"type": "cyan", "output": "bold", "field": "green", "formula": "dim"}

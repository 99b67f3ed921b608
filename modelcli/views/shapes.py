"""Feature maps: one row per layer that changes one, with its formula and what it sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

from modelcli.feature_maps.field import Field, Mixture, Place
from modelcli.feature_maps.record import AxisResult, LayerResult, Shape, count_unseen
from modelcli.feature_maps.stack import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeRow:
    """One layer of a model or of a typed stack.

    Attributes:
        path: the layer's path, or the word that was typed.
        batched: whether the first axis of the shapes is the batch.
        activation_bytes: size of the output; None where no element type is known.
    """

    path: str
    type: str
    result: LayerResult
    field: Field
    batched: bool
    activation_bytes: int | None = None

    @property
    def formula(self) -> str:
        """The formula with its numbers; axes with the same one share it."""
        return join_formulas(self.result)

    @property
    def receptive_field(self) -> tuple[int | None, ...]:
        """Cells of the input seen along each of its axes."""
        return tuple(self.field.extent(source) for source in range(len(self.field.sizes)))

    @property
    def jump(self) -> tuple[Fraction | None, ...]:
        """Input cells between neighbouring cells of the output, per axis of the input."""
        return tuple(None if place is None else place.reach.jump for place in _places(self.field))

    @property
    def start(self) -> tuple[int | None, ...]:
        """First input cell that the first output cell sees, per axis of the input."""
        return tuple(None if place is None else place.reach.start for place in _places(self.field))

    @property
    def unseen(self) -> tuple[int, ...]:
        """Rows and columns of the layer's own input that no window covers."""
        return tuple(count_unseen(axis.unseen) for axis in self.result.axes)

    @property
    def share(self) -> float | None:
        """Share of the input that the cell in the middle of the output sees, at most 1."""
        return _share(self.field, self.result.output_shape)


def _places(field: Field) -> tuple[Place | None, ...]:
    """Return, for each axis of the input, the axis of the tensor that still stands for it."""
    found: list[Place | None] = [None] * len(field.sizes)
    for axis in field.axes:
        if isinstance(axis, Place):
            found[axis.source] = axis
    return tuple(found)


def _share(field: Field, shape: Shape) -> float | None:
    if not field.sizes or not field.sources or any(isinstance(a, Mixture) for a in field.axes):
        return None  # after a flatten no cell is in the middle
    middle = {
        axis.source: shape[index] // 2
        for index, axis in enumerate(field.axes)
        if isinstance(axis, Place)
    }
    share = Fraction(1)
    for source, size in enumerate(field.sizes):
        share *= Fraction(_seen(field, source, middle), size)
    return float(share)


def _seen(field: Field, source: int, middle: dict[int, int]) -> int:
    size = field.sizes[source]
    if source in field.everything:
        return size
    windows = [place.reach.seen(0, size) for place in field.fixed if place.source == source]
    reach = field.reach(source)
    if reach is not None and source in middle:
        windows.append(reach.seen(middle[source], size))
    if not windows:
        return 0
    return max(max(last for _, last in windows) - min(first for first, _ in windows) + 1, 0)


def join_formulas(result: LayerResult) -> str:
    """Write the formulas of all axes, once where they agree."""
    formulas = [axis.formula for axis in result.axes]
    if not formulas:
        return result.formula
    if len(set(formulas)) == 1:
        joined = formulas[0]
    else:
        joined = "; ".join(f"{axis.axis.letter}: {axis.formula}" for axis in result.axes)
    return f"{joined}; {result.formula}" if result.formula else joined


def link_rows(links: Iterable[Link], *, batched: bool) -> tuple[ShapeRow, ...]:
    """Return one row per layer of a typed stack."""
    return tuple(
        ShapeRow(
            path=link.layer.name,
            type=link.result.type,
            result=link.result,
            field=link.field,
            batched=batched,
        )
        for link in links
    )


def shapes_body(rows: Sequence[ShapeRow]) -> dict[str, Any]:
    """Return the rows as JSON."""
    return {"rows": [row_body(row) for row in rows]}


def row_body(row: ShapeRow) -> dict[str, Any]:
    """Return one row as JSON; per-axis values are lists, outermost axis first."""
    axes = row.result.axes
    output = row.result.output_shape
    return {
        "path": row.path,
        "type": row.type,
        "input": list(row.result.input_shape),
        "kernel": _per_axis(axes, "kernel"),
        "stride": _per_axis(axes, "stride"),
        "padding": _paddings(axes),
        "dilation": _per_axis(axes, "dilation"),
        "output": list(output),
        "receptive_field": list(row.receptive_field),
        "jump": _some([_number(jump) for jump in row.jump]),
        "start": _some(list(row.start)),
        "unseen": list(row.unseen),
        "unseen_at": [[list(span) for span in axis.unseen] for axis in axes],
        "formula": row.formula,
        "channels": {"in": channels_of(row, 0), "out": channels_of(row, 1)},
        "activation_numel": prod(output),
        "activation_bytes": row.activation_bytes,
        "share": row.share,
        "branches_differ": row.field.differ,
    }


def channels_of(row: ShapeRow, side: int) -> int | None:
    """Return the channel count before (0) or after (1) a layer; None where it has none."""
    shape = (row.result.input_shape, row.result.output_shape)[side]
    count = len(row.result.axes)
    if count:
        return shape[-count - 1] if len(shape) > count else None
    position = 1 if row.batched else 0
    return shape[position] if len(shape) > position else None


def _some(values: list[Any]) -> list[Any] | None:
    """Return the values, None where no axis has one."""
    return None if values and all(value is None for value in values) else values


def _per_axis(axes: Sequence[AxisResult], name: str) -> list[int] | None:
    values = [getattr(axis, name) for axis in axes]
    return None if not values or None in values else values


def _paddings(axes: Sequence[AxisResult]) -> list[Any] | None:
    pairs = [axis.padding for axis in axes if axis.padding is not None]
    if not axes or len(pairs) != len(axes):
        return None
    if all(before == after for before, after in pairs):
        return [before for before, _ in pairs]
    return [list(pair) for pair in pairs]


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else round(float(value), 6)

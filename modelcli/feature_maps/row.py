"""One row per layer that changes a feature map: its result and what its output sees."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from modelcli.feature_maps.field import Field, Mixture, Place
from modelcli.feature_maps.record import LayerResult, count_unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRow:
    """One layer of a model or of a typed stack.

    Attributes:
        path: the layer's path, or the word that was typed.
        batched: whether the first axis of the shapes is the batch.
        index: the call's place in the pass.
        activation_bytes: size of the output; None where no element type is known.
        params: parameters that the layer itself holds; None where it was only typed.
    """

    path: str
    type: str
    result: LayerResult
    field: Field
    batched: bool
    index: int = 0
    activation_bytes: int | None = None
    params: int | None = None

    @property
    def formula(self) -> str:
        """The formula with its numbers; axes with the same one share it."""
        axes, last = self.result.axes, self.result.formula
        formulas = dict.fromkeys(axis.formula for axis in axes)
        joined = "; ".join(formulas)
        if len(formulas) > 1:
            joined = "; ".join(f"{axis.axis.letter}: {axis.formula}" for axis in axes)
        return f"{joined}; {last}" if joined and last else joined or last

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
        field, shape = self.field, self.result.output_shape
        if not field.sizes or not field.sources or any(isinstance(a, Mixture) for a in field.axes):
            return None  # after a flatten no cell is in the middle
        middle = {
            axis.source: shape[index] // 2
            for index, axis in enumerate(field.axes)
            if isinstance(axis, Place)
        }
        share = Fraction(1)
        for source, size in enumerate(field.sizes):
            first, last = field.span(source, middle.get(source)) or (0, -1)
            share *= Fraction(max(min(last, size - 1) - max(first, 0) + 1, 0), size)
        return float(share)


def _places(field: Field) -> tuple[Place | None, ...]:
    """Return, for each axis of the input, the axis of the tensor that still stands for it."""
    found: list[Place | None] = [None] * len(field.sizes)
    for axis in field.axes:
        if isinstance(axis, Place):
            found[axis.source] = axis
    return tuple(found)


def channels_of(row: MapRow, side: int) -> int | None:
    """Return the channel count before (0) or after (1) a layer; None where it has none."""
    shape = (row.result.input_shape, row.result.output_shape)[side]
    count = len(row.result.axes)
    if count:
        return shape[-count - 1] if len(shape) > count else None
    position = 1 if row.batched else 0
    return shape[position] if len(shape) > position else None

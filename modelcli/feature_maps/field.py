"""The receptive field of a tensor: what each of its axes still knows of the input's places.

An axis of a tensor is a *place* of the input (rows, columns), a *mixture* of several places (after
flatten), or none (batch, channels). Layers move places, branches join them, and what averages or
multiplies over a whole axis sees *everything* along it from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelcli.feature_maps.reach import SAME, Reach
from modelcli.feature_maps.record import LayerResult, Shape


@dataclass(frozen=True, slots=True)
class Place:
    """An axis whose cells stand for places along one axis of the input."""

    source: int
    reach: Reach

    @property
    def places(self) -> tuple[Place, ...]:
        """The place itself, as a mixture has several."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Mixture:
    """An axis whose cells stand for places along several axes of the input, or out of order."""

    places: tuple[Place, ...]


Axis = Place | Mixture | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What one tensor sees of the input, whose axes (the sources) have these ``sizes``.

    Attributes:
        axes: one entry per axis of the tensor.
        everything: sources that are seen from end to end.
        fixed: places of which one cell was left, so that every cell here sees its window.
        differ: whether branches that saw different extents were joined on the way.
    """

    sizes: Shape
    axes: tuple[Axis, ...]
    everything: frozenset[int] = frozenset()
    fixed: tuple[Place, ...] = ()
    differ: bool = False

    def reach(self, source: int) -> Reach | None:
        """Return what the cells see along one axis of the input, None where no cell stands for it.

        Of several axes with the same source the last one counts.
        """
        found = (p.reach for p in reversed(_places(self.axes)) if p.source == source)
        return next(found, None)

    def span(self, source: int, cell: int | None) -> tuple[int, int] | None:
        """Return the first and last input cell that one cell sees, borders not cut off.

        Args:
            source: an axis of the input.
            cell: the cell's place along it, None where no axis stands for it.
        """
        if source in self.everything:
            return 0, self.sizes[source] - 1
        spans = [(p.reach.low(0), p.reach.high(0)) for p in self.fixed if p.source == source]
        reach = self.reach(source)
        if reach is not None and cell is not None:
            spans.append((reach.low(cell), reach.high(cell)))
        return _hull(spans) if spans else None

    def extent(self, source: int) -> int | None:
        """Return the receptive field along one axis of the input; None where nothing is seen."""
        if source in self.everything:
            return self.sizes[source]
        reach = self.reach(source)
        sizes = [place.reach.size for place in self.fixed if place.source == source]
        return max([*sizes, reach.size] if reach is not None else sizes, default=None)

    @property
    def sources(self) -> tuple[int, ...]:
        """The axes of the input of which anything is seen."""
        return tuple(s for s in range(len(self.sizes)) if self.extent(s) is not None)


def input_field(shape: Shape, dims: int) -> Field:
    """Return the field of the input itself, whose last ``dims`` axes are places."""
    axes = (None,) * (len(shape) - dims) + tuple(Place(i, SAME) for i in range(dims))
    return Field(sizes=shape[len(shape) - dims :], axes=axes)


def after_layer(field: Field, result: LayerResult) -> Field:
    """Return the field behind one layer."""
    if result.sees == "same":
        return field
    if result.sees == "everything":  # a dense layer: the last axis is used up
        return lose(field, (len(field.axes) - 1,), keep=True)
    if result.sees == "mixed":
        return _mixed(field, result)
    return _windowed(field, result)


def _windowed(field: Field, result: LayerResult) -> Field:
    first = len(field.axes) - len(result.axes)
    pairs = zip(field.axes[first:], result.axes, strict=True)
    moved = (_moved(axis, step.reach) for axis, step in pairs)
    return replace(field, axes=(*field.axes[:first], *moved))


def _moved(axis: Axis, reach: Reach) -> Axis:
    return Place(axis.source, axis.reach.then(reach)) if isinstance(axis, Place) else axis


def _mixed(field: Field, result: LayerResult) -> Field:
    before = result.input_shape
    if result.axes:  # unfold: windows laid out as columns
        field, before = _windowed(field, result), (*before[:-2], 1, 1)
    return reshape(field, before, result.output_shape)


def lose(field: Field, gone: Sequence[int], *, keep: bool) -> Field:
    """Return the field after some axes were summed up: their sources are seen end to end.

    A place of which one cell is left (an axis of size 1) loses nothing by that, but a field does
    not know sizes: use ``reshape`` where an axis of size 1 only vanishes.

    Args:
        field: the field before.
        gone: positions of the axes, from the front or the back.
        keep: whether the axes stay (as channels) or vanish.
    """
    rank = len(field.axes)
    lost = {index % rank for index in gone} if rank else set()
    everything = field.everything | _sources([field.axes[index] for index in lost])
    kept = tuple(
        None if index in lost else axis
        for index, axis in enumerate(field.axes)
        if keep or index not in lost
    )
    return replace(field, axes=kept, everything=everything)


def _sources(axes: Sequence[Axis]) -> set[int]:
    return {place.source for place in _places(axes)}


def reshape(field: Field, before: Shape, after: Shape) -> Field:
    """Return the field after a change of shape: axes equal at both ends keep their meaning."""
    front = _common(before, after)
    back = _common(before[front:][::-1], after[front:][::-1])
    middle = range(front, len(before) - back)
    single = _places([field.axes[index] for index in middle if before[index] == 1])
    mixed = _mixture([field.axes[index] for index in middle if before[index] != 1])
    width = len(after) - front - back
    axes = (*field.axes[:front], *(mixed,) * width, *field.axes[len(before) - back :])
    return replace(field, axes=axes, fixed=_one_each((*field.fixed, *single)))


def _common(one: Shape, other: Shape) -> int:
    """Return how many sizes are equal from the front on."""
    differ = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differ, min(len(one), len(other)))


def _one_each(places: Sequence[Place]) -> tuple[Place, ...]:
    """Return one window per source: the hull of those that all cells see."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for place in places:
        spans.setdefault(place.source, []).append((place.reach.low(0), place.reach.high(0)))
    hulls = ((source, _hull(found)) for source, found in spans.items())
    return tuple(Place(source, Reach((low,), (high,), 1)) for source, (low, high) in hulls)


def _hull(spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return min(low for low, _ in spans), max(high for _, high in spans)


def _mixture(axes: Sequence[Axis]) -> Axis:
    """Return the mixture of some axes, with one place per source: the one that sees most."""
    places: dict[int, Place] = {}
    for place in _places(axes):
        places[place.source] = _larger(places.get(place.source, place), place)
    return Mixture(tuple(places.values())) if places else None


def _larger(one: Place, other: Place) -> Place:
    """Return the hull of two places of one source, or the larger if their cells do not match."""
    if one.reach.jump == other.reach.jump:
        return Place(one.source, one.reach.union(other.reach))
    return one if one.reach.size >= other.reach.size else other


def _places(axes: Sequence[Axis]) -> tuple[Place, ...]:
    return tuple(place for axis in axes if axis is not None for place in axis.places)


def cut(field: Field, position: int, first: int, step: int) -> Field:
    """Return the field after every ``step``-th cell of an axis was kept, from ``first`` on."""
    axes = list(field.axes)
    axes[position] = _moved(axes[position], Reach((first,), (first,), step))
    return replace(field, axes=tuple(axes))


def pick(field: Field, position: int, cell: int) -> Field:
    """Return the field after one cell of an axis was kept, and the axis with it left out."""
    axis = field.axes[position]
    axes = (*field.axes[:position], *field.axes[position + 1 :])
    if isinstance(axis, Mixture):  # which of its places the cell stands for is not known
        return replace(field, axes=axes, everything=field.everything | _sources([axis]))
    places = _places([_moved(axis, Reach((cell,), (cell,), 1))])
    return replace(field, axes=axes, fixed=_one_each((*field.fixed, *places)))


def permute(field: Field, order: Sequence[int]) -> Field:
    """Return the field after its axes were put into another order."""
    return replace(field, axes=tuple(field.axes[index] for index in order))


def all_of_it(fields: Sequence[Field], sizes: Shape, rank: int) -> Field:
    """Return the field of something that may depend on every cell of what it was given, if any."""
    everything = frozenset(source for field in fields for source in field.sources)
    differ = any(field.differ for field in fields)
    return Field(sizes=sizes, axes=(None,) * rank, everything=everything, differ=differ)


def merge(
    fields: Sequence[Field], shapes: Sequence[Shape], output: Shape, *, along: int | None = None
) -> Field:
    """Return the field where branches meet: the hull of what each of them sees.

    Args:
        fields: one per branch.
        shapes: the branches' shapes; an axis of size 1 is spread over the output's.
        output: the shape that comes out.
        along: the axis of a concatenation, whose places are no longer in order.
    """
    rank = len(output)
    everything = {source for field in fields for source in field.everything}
    extents = {
        tuple(field.extent(source) for source in range(len(field.sizes)))
        for field in fields
        if field.sources
    }
    axes: list[Axis] = []
    fixed = [place for field in fields for place in field.fixed]
    for index in range(rank):
        meeting: list[Axis] = []
        for field, shape in zip(fields, shapes, strict=True):
            own = index - rank + len(shape)
            if own < 0:
                continue
            if shape[own] == 1 and output[index] > 1 and along is None:
                fixed.extend(_places([field.axes[own]]))
            else:
                meeting.append(field.axes[own])
        joined, lost = _join(meeting)
        everything |= lost
        if along is not None and index == along % rank:
            joined = _mixture([joined])
        axes.append(joined)
    return Field(
        sizes=fields[0].sizes,
        axes=tuple(axes),
        everything=frozenset(everything),
        fixed=_one_each(fixed),
        differ=len(extents) > 1 or any(field.differ for field in fields),
    )


def _join(axes: Sequence[Axis]) -> tuple[Axis, set[int]]:
    """Return what an axis stands for where several meet, and the sources that lost their place."""
    joined: Axis = None
    lost: set[int] = set()
    for axis in axes:
        if axis is None or axis == joined:
            continue
        if joined is None:
            joined = axis
        elif (
            isinstance(axis, Place)
            and isinstance(joined, Place)
            and axis.source == joined.source
            and axis.reach.jump == joined.reach.jump
        ):
            joined = Place(axis.source, joined.reach.union(axis.reach))
        elif isinstance(axis, Mixture) and isinstance(joined, Mixture):
            joined = _mixture([joined, axis])
        else:
            lost |= _sources([axis])
    return joined, lost

"""One way in which an input may look: sizes, free letters, values. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelcli.loading.inference.shapes import Dims
from modelcli.loading.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One way in which an input may look.

    Attributes:
        dims: sizes and letters for those that are free.
        why: for people: ``conv (Conv2d) takes 3 channels``.
        origin: for people, shorter: ``conv (Conv2d)``.
        is_sure: whether a layer says it, without a way round on which it could be misread.
        below: ids are from 0 to below this; ``"N"`` is the number of nodes.
        fill: the one value of all elements; ``"L"`` is the length of the sequences.
    """

    dims: Dims
    why: str
    origin: str
    dtype: str | None = None
    is_sure: bool = False
    below: int | str | None = None
    fill: int | str | None = None

    def letters(self) -> tuple[str, ...]:
        """Return the groups of letters whose sizes have to be chosen."""
        free = {dim for dim in self.dims if isinstance(dim, str)}
        groups = [g for g in ("DHW", "L", "A", "G") if free & set(g)]
        if "DHW" in groups and "D" not in free:
            groups[groups.index("DHW")] = "HW"
        return tuple(groups)

    def spec(self, sizes: Mapping[str, int], name: str, floating: str) -> InputSpec:
        """Return the template at given sizes; ``floating`` is the model's own element type."""
        shape = tuple(sizes.get(d, 1) if isinstance(d, str) else d for d in self.dims)
        fill = sizes.get("L", 1) if self.fill == "L" else self.fill
        span = None if fill is None else (float(fill), float(fill) + 1)
        below = sizes.get("N", 1) if self.below == "N" else self.below
        if below is not None:
            span = (0.0, float(max(int(below), 1)))
        return InputSpec(shape=shape, name=name, dtype=self.dtype or floating, span=span)

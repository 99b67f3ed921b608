"""Padding layers and ``F.pad``: constant, reflecting, replicating and circular."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.reach import Reach
from modelcli.feature_maps.record import (
    AxisName,
    AxisResult,
    LayerResult,
    Ranges,
    Shape,
    axis_names,
)
from modelcli.feature_maps.refusal import Refusal, show_dims

KINDS = {
    "constant": "ConstantPad",
    "zeros": "ZeroPad",
    "reflect": "ReflectionPad",
    "replicate": "ReplicationPad",
    "circular": "CircularPad",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(Layer):
    """Cells added around a map, or cut off where a number is negative.

    Attributes:
        pad: as ``F.pad`` takes it: last axis first, each as before, after.
        mode: one of ``KINDS``.
    """

    pad: Sequence[int]
    mode: str = "constant"

    @property
    def dims(self) -> int:
        """How many axes are padded."""
        return len(self.pad) // 2

    @property
    def type(self) -> str:
        """The class or function name that torch gives it."""
        return self.shown or f"{KINDS.get(self.mode, 'Pad')}{self.dims}d"

    def _apply(self, shape: Shape) -> LayerResult:
        self._check(len(shape))
        names = axis_names(min(self.dims, 3))
        first = len(shape) - self.dims
        pairs = zip(self.pad[-2::-2], self.pad[::-2], strict=True)  # the outermost axis first
        axes: list[AxisResult] = []
        for offset, (before, after) in enumerate(pairs):
            size = shape[first + offset]
            self._check_axis(size, before, after)
            axes.append(_axis(size, before, after, names[min(offset, len(names) - 1)]))
        sizes = (*shape[:first], *(axis.size_out for axis in axes))
        if any(axis.size_out < 1 for axis in axes):
            smallest = (max(axis.size_in, axis.size_in + 1 - axis.size_out) for axis in axes)
            raise Refusal(
                f"what is left would be {show_dims(sizes)}",
                f"the smallest input that works is {show_dims((*shape[:first], *smallest))}",
            )
        return self._result(shape, sizes, axes=tuple(axes), sees="windows")

    def _check(self, rank: int) -> None:
        if self.mode not in KINDS:
            raise Refusal(f"mode {self.mode!r} is unknown", f"the modes are {', '.join(KINDS)}")
        if len(self.pad) % 2 or not self.pad:
            raise Refusal(
                f"{len(self.pad)} numbers are no pairs of before and after",
                "give two numbers for each axis, the last axis first",
            )
        free = self.mode in ("constant", "zeros")
        if rank < self.dims if free else rank not in (self.dims + 1, self.dims + 2):
            wanted = f"{self.dims} axes" if free else f"{self.dims + 1} or {self.dims + 2} axes"
            raise Refusal(f"{len(self.pad)} numbers pad {self.dims} axes", f"give it {wanted}")

    def _check_axis(self, size: int, before: int, after: int) -> None:
        cut = -min(before, 0) - min(after, 0)
        if cut > size and self.mode in ("constant", "zeros"):
            raise Refusal(
                f"{cut} cells are cut off an axis of {size}", f"make that axis {cut} or more"
            )
        most = max(before, after)
        if self.mode == "reflect" and most >= size:
            raise Refusal(
                f"reflecting {most} cells needs more than {most}, and there are {size}",
                f"pad by {max(size - 1, 0)} at most, or make that axis {most + 1}",
            )
        if self.mode == "circular" and most > size:
            raise Refusal(
                f"wrapping {most} cells around needs {most}, and there are {size}",
                f"pad by {size} at most, or make that axis {most}",
            )


def _axis(size: int, before: int, after: int, axis: AxisName) -> AxisResult:
    out = size + before + after
    formula = f"{size} + {before} + {after} = {out}".replace("+ -", "- ")
    return AxisResult(
        axis=axis,
        size_in=size,
        size_out=out,
        padding=(before, after),
        formula=formula,
        rule="in + p + q",
        steps=((f"{before} {axis.before} and {after} {axis.after}", formula),),
        reach=Reach((-before,), (-before,), 1),
        unseen=_cut(size, before, after),
    )


def _cut(size: int, before: int, after: int) -> Ranges:
    front = ((0, min(-before, size) - 1),) if before < 0 else ()
    return (*front, (max(size + after, 0), size - 1)) if after < 0 else front

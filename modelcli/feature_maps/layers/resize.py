"""Upsampling and interpolation, by a size or by a factor, in every mode of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, isfinite

from modelcli.feature_maps.layers.layer import Sizes, SpatialLayer, per_axis, require
from modelcli.feature_maps.layers.pooling import adaptive_reach
from modelcli.feature_maps.reach import Reach, from_cells
from modelcli.feature_maps.record import AxisName, AxisResult
from modelcli.feature_maps.refusal import Refusal

MODES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "trilinear": (3,),
    "bicubic": (2,),
}
_NEIGHBOURS = {"linear": (0, 1), "bilinear": (0, 1), "trilinear": (0, 1), "bicubic": (-1, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(SpatialLayer):
    """Interpolation to ``size``, or to ``floor(in * scale_factor)``.

    Attributes:
        size: the sizes wanted; exactly one of this and ``scale_factor`` is given.
        mode: how values between cells are found; see ``MODES``.
        align_corners: whether the first and the last cells' centres coincide.
        recompute_scale_factor: measure distances by the sizes instead of by the factor.
    """

    size: Sizes | None = None
    scale_factor: float | Sequence[float] | None = None
    mode: str = "nearest"
    align_corners: bool | None = False
    recompute_scale_factor: bool | None = False
    needs_batch: bool = True  # as torch
    TYPE = "Upsample"

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        self._check_mode()
        out, formula = self._size(index, size)
        require(size, 1, axis.name)
        asked = self.size is not None
        if out < 1:
            raise Refusal(
                f"{axis.name} {size} gives {out}, and nothing is left",
                "ask for a size of 1 or more" if asked else "",
                smallest=self._smallest(index),
            )
        ratio = self._ratio(index, size, out)
        return AxisResult(
            axis=axis,
            size_in=size,
            size_out=out,
            formula=formula,
            rule="as asked" if asked else "floor(in * scale)",
            steps=(
                ("asked for" if asked else f"the {axis.many} times the factor", formula),
                *self._weighing(size, out, ratio, axis),
            ),
            reach=self._reach(size, out, ratio),
        )

    def _check_mode(self) -> None:
        if self.mode not in MODES:
            raise Refusal(f"mode {self.mode!r} is unknown", f"the modes are {', '.join(MODES)}")
        if self.dims not in MODES[self.mode]:
            able = [name for name, dims in MODES.items() if self.dims in dims]
            raise Refusal(
                f"mode {self.mode!r} is not for maps with {self.dims} axes",
                f"with {self.dims} axes the modes are {', '.join(able)}",
            )

    def _size(self, index: int, size: int) -> tuple[int, str]:
        if (self.size is None) == (self.scale_factor is None):
            raise Refusal(
                "it has both a size and a factor" if self.size is not None else "it has no size",
                "give it either a size or a factor",
            )
        if self.size is not None:
            out = per_axis(self.size, self.dims, "size")[index]
            return out, f"as asked = {out}"
        factor = self._factor(index)
        if not isfinite(factor) or factor < 0:
            raise Refusal(f"the factor is {factor}", "it must be above 0")
        out = floor(float(size) * factor)
        if factor == int(factor):
            return out, f"{size} * {int(factor)} = {out}"
        return out, f"floor({size} * {factor:g}) = {out}"

    def _factor(self, index: int) -> float:
        scale = self.scale_factor
        if scale is None or isinstance(scale, (int, float)):
            return float(scale or 0)
        factors = tuple(scale)
        if len(factors) != self.dims:
            raise Refusal(
                f"{len(factors)} factors for {self.dims} axes", f"give one factor, or {self.dims}"
            )
        return float(factors[index])

    def _smallest(self, index: int) -> int | None:
        if self.size is not None or self._factor(index) <= 0:
            return None
        guess = max(1, int(1 / self._factor(index)))
        while floor(float(guess) * self._factor(index)) < 1:
            guess += 1
        return guess

    def _ratio(self, index: int, size: int, out: int) -> Fraction:
        """Return the distance of neighbouring output cells, in input cells."""
        if self.align_corners and self.mode in _NEIGHBOURS:
            return Fraction(size - 1, out - 1) if out > 1 else Fraction(0)
        if self.scale_factor is None or self.recompute_scale_factor or self.mode == "area":
            return Fraction(size, out)
        return 1 / Fraction(self._factor(index)).limit_denominator(10_000)

    def _weighing(
        self, size: int, out: int, ratio: Fraction, axis: AxisName
    ) -> tuple[tuple[str, str], ...]:
        """Return where an output cell looks, and the weights of the second one.

        Source: ``area_pixel_compute_source_index``, ``get_cubic_upsample_coefficients`` of torch.
        """
        step, cell = f"{float(ratio):g}", min(1, out - 1)
        if self.mode == "area":
            return (
                ("mode area: cell o is the mean of", f"o*{size}/{out} to (o + 1)*{size}/{out}"),
            )
        if self.mode not in _NEIGHBOURS:
            cells = "(o + 0.5)" if self.mode == "nearest-exact" else "o"
            return ((f"mode {self.mode}: cell o takes the value of", f"floor({cells} * {step})"),)
        aligned = bool(self.align_corners)
        half = Fraction(0) if aligned else Fraction(1, 2)
        place = (cell + half) * ratio - half
        if self.mode != "bicubic":
            place = max(place, Fraction(0))
        first, share = floor(place), float(place - floor(place))
        weights = _cubic(share) if self.mode == "bicubic" else (1 - share, share)
        start = first + _NEIGHBOURS[self.mode][0]
        parts = [
            f"{weight:.4g} of {axis.one} {min(max(start + number, 0), size - 1)}"
            for number, weight in enumerate(weights)
            if weight
        ]
        formula = f"o * {step}" if aligned else f"(o + 0.5) * {step} - 0.5"
        return (
            (f"mode {self.mode}, align_corners {aligned}: cell o looks at", formula),
            (f"cell {cell} looks at {float(place):g} and takes", " + ".join(parts)),
        )

    def _reach(self, size: int, out: int, ratio: Fraction) -> Reach:
        if self.mode == "area":
            return adaptive_reach(size, out)
        if ratio == 0:  # one cell on either side: all are aligned with the first
            return Reach((0,) * out, (0,) * out, size)
        cells = [self._interval(cell, ratio) for cell in range(ratio.denominator)]
        return from_cells(cells, ratio.numerator)

    def _interval(self, cell: int, ratio: Fraction) -> tuple[int, int]:
        if self.mode.startswith("nearest"):
            exact = Fraction(1, 2) if self.mode == "nearest-exact" else 0
            return (floor((cell + exact) * ratio),) * 2
        half = Fraction(0) if self.align_corners else Fraction(1, 2)
        centre = (cell + half) * ratio - half
        first = floor(centre)
        if centre == first:  # the other neighbours have weight 0
            return first, first
        before, after = _NEIGHBOURS[self.mode]
        return first + before, first + after


def _cubic(share: float) -> tuple[float, ...]:
    """Return the weights of four neighbours for a place between the two in the middle."""
    bend = -0.75  # torch's constant

    def near(x: float) -> float:
        return ((bend + 2) * x - (bend + 3)) * x * x + 1

    def far(x: float) -> float:
        return ((bend * x - 5 * bend) * x + 8 * bend) * x - 4 * bend

    return far(share + 1), near(share), near(1 - share), far(2 - share)

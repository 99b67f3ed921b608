"""What all layers share: a name, a number of axes, and how a refusal is worded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from modelcli.feature_maps.record import (
    AxisName,
    AxisResult,
    LayerResult,
    Sees,
    Shape,
    axis_names,
)
from modelcli.feature_maps.refusal import AxisRefusal, ShapeError, refusal, show_dims

Sizes = int | Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer whose output shape follows from its input shape.

    Attributes:
        name: what the user calls it: its path in a model or the word that was typed.
    """

    name: str = ""

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """The layer as errors speak of it: ``conv1 (Conv2d)``."""
        return f"'{self.name}' ({self.type})" if self.name else self.type

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on an input.

        Args:
            shape: the whole shape; where the layer counts dimensions from the front, with its
                batch.

        Raises:
            ShapeError: torch would refuse this input too.
        """
        raise NotImplementedError

    def refuse(self, shape: Shape, reason: str, hint: str) -> ShapeError:
        """Return the error that this layer cannot take a shape."""
        return refusal(self.label, shape, reason, hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialLayer(Layer):
    """A layer that treats each of the last ``dims`` axes by a formula.

    Attributes:
        dims: 1, 2 or 3.
    """

    dims: int
    sees: ClassVar[Sees] = "windows"

    @property
    def batch_required(self) -> bool:
        """Whether a shape without a batch is refused."""
        return False

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on ``([B,] C, *sizes)``."""
        self._check_rank(shape)
        channels, why = self._channels(shape)
        axes = self._axes(shape)
        sizes = tuple(axis.size_out for axis in axes)
        return LayerResult(
            type=self.type,
            input_shape=shape,
            output_shape=(*shape[: -self.dims - 1], channels, *sizes),
            axes=axes,
            sees=self.sees,
            channels=why,
        )

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        raise NotImplementedError

    def _channels(self, shape: Shape) -> tuple[int, tuple[str, str] | None]:
        return shape[-self.dims - 1], None

    def _check_rank(self, shape: Shape) -> None:
        ranks = (self.dims + 2,) if self.batch_required else (self.dims + 1, self.dims + 2)
        if len(shape) in ranks:
            return
        letters = " x ".join(axis.letter for axis in axis_names(self.dims))
        wanted = f"B x C x {letters}" + ("" if self.batch_required else f" or C x {letters}")
        hint = f"give it {wanted}"
        if len(shape) == min(ranks) - 1:
            hint += "; a missing batch or channel dimension is added by unsqueeze(0)"
        raise self.refuse(shape, f"it wants {wanted}, not {len(shape)} dimensions", hint)

    def _axes(self, shape: Shape) -> tuple[AxisResult, ...]:
        results: list[AxisResult] = []
        refused: dict[int, AxisRefusal] = {}
        for index, axis in enumerate(axis_names(self.dims)):
            try:
                results.append(self._axis(index, shape[index - self.dims], axis))
            except AxisRefusal as problem:
                refused[index] = problem
        if refused:
            raise self._refuse_axes(shape, refused) from None
        return tuple(results)

    def _refuse_axes(self, shape: Shape, refused: dict[int, AxisRefusal]) -> ShapeError:
        first = next((p for p in refused.values() if p.smallest is None), None)
        if first is not None:
            hint = first.advice or "no input size would work"
            return self.refuse(shape, first.reason, hint)
        sizes = list(shape)
        for index, problem in refused.items():
            sizes[index - self.dims] = problem.smallest or 1
        reason = next(iter(refused.values())).reason
        advice = next((f"; {p.advice}" for p in refused.values() if p.advice), "")
        return self.refuse(
            shape, reason, f"the smallest input that works is {show_dims(sizes)}{advice}"
        )


def per_axis(value: Sizes, dims: int, what: str) -> tuple[int, ...]:
    """Return one number per axis from a number or a sequence of them.

    Raises:
        AxisRefusal: the sequence has another length than ``dims``.
    """
    if isinstance(value, int):
        return (value,) * dims
    numbers = tuple(value)
    if len(numbers) == 1:
        return numbers * dims
    if len(numbers) != dims:
        raise AxisRefusal(
            f"{what} {show_dims(numbers)} has {len(numbers)} numbers for {dims} axes",
            advice=f"give one number, or {dims}",
        )
    return numbers


def require(value: int, least: int, what: str) -> None:
    """Refuse a number below the least that makes sense.

    Raises:
        AxisRefusal: always with no smallest input, since none would help.
    """
    if value < least:
        raise AxisRefusal(
            f"{what} is {value}, and it must be at least {least}",
            advice=f"no input size works with it: set {what} to {least} or more",
        )

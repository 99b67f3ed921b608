"""What all layers share: a name, options per axis, and how a refusal is worded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from modelcli.feature_maps.record import AxisName, AxisResult, LayerResult, Shape, axis_names
from modelcli.feature_maps.refusal import Refusal, ShapeError, show_dims
from modelcli.feature_maps.window import Window

Sizes = int | Sequence[int]
Padding = Sizes | Literal["same", "valid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer whose output shape follows from its input shape; options have torch's names.

    Attributes:
        TYPE: the class name that torch gives it; ``{0.dims}`` stands for that attribute.
        name: what the user calls it: its path in a model or the word that was typed.
        shown: the type as the model has it, where it is not ``TYPE``: ``conv2d``, ``ReLU``.
    """

    TYPE: ClassVar[str] = ""
    name: str = ""
    shown: str = ""

    @property
    def type(self) -> str:
        """The class or function name that torch gives it."""
        return self.shown or self.TYPE.format(self)

    @property
    def label(self) -> str:
        """The layer as errors speak of it: ``'conv1' (Conv2d)``."""
        named = f"'{self.name}'"
        if self.name == self.type:
            return named
        return f"{named} ({self.type})" if self.name else self.type

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on a whole shape, batch included where there is one.

        Raises:
            ShapeError: torch would refuse this input too.
        """
        try:
            return self._apply(shape)
        except Refusal as refusal:
            message = f"{self.label} cannot take {show_dims(shape)}: {refusal.reason}"
            raise ShapeError(message, refusal.advice) from None

    def _apply(self, shape: Shape) -> LayerResult:
        raise NotImplementedError

    def _result(self, shape: Shape, output: Shape, **rest: Any) -> LayerResult:
        return LayerResult(type=self.type, input_shape=shape, output_shape=output, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialLayer(Layer):
    """A layer that treats each of the last ``dims`` axes (1, 2 or 3) by a formula.

    With ``needs_batch`` a shape without a batch is refused.
    """

    dims: int
    needs_batch: bool = False

    def _apply(self, shape: Shape) -> LayerResult:
        self._check_rank(shape)
        channels, why = self._channels(shape)
        axes = self._axes(shape)
        output = (*shape[: -self.dims - 1], channels, *(axis.size_out for axis in axes))
        weights = self._weights(shape, channels)
        return self._result(shape, output, axes=axes, sees="windows", channels=why, weights=weights)

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        raise NotImplementedError

    def _channels(self, shape: Shape) -> tuple[int, tuple[str, str] | None]:
        return shape[-self.dims - 1], None

    def _weights(self, shape: Shape, channels: int) -> tuple[Shape, int] | None:
        """Return the sizes of the weight and the number of biases; None for a layer without."""
        return None

    def _check_rank(self, shape: Shape) -> None:
        ranks = (self.dims + 2,) if self.needs_batch else (self.dims + 1, self.dims + 2)
        if len(shape) in ranks:
            return
        letters = " x ".join(axis.letter for axis in axis_names(self.dims))
        wanted = f"B x C x {letters}" + ("" if self.needs_batch else f" or C x {letters}")
        hint = f"give it {wanted}"
        if len(shape) == min(ranks) - 1:
            hint += "; a missing batch or channel dimension is added by unsqueeze(0)"
        raise Refusal(f"it wants {wanted}, not {len(shape)} dimensions", hint)

    def _axes(self, shape: Shape) -> tuple[AxisResult, ...]:
        results: list[AxisResult] = []
        refused: dict[int, Refusal] = {}
        for index, axis in enumerate(axis_names(self.dims)):
            try:
                results.append(self._axis(index, shape[index - self.dims], axis))
            except Refusal as refusal:
                refused[index] = refusal
        if refused:
            raise self._refuse_axes(shape, refused) from None
        return tuple(results)

    def _refuse_axes(self, shape: Shape, refused: dict[int, Refusal]) -> Refusal:
        sizes = list(shape)
        for index, refusal in refused.items():
            if refusal.smallest is None:
                return Refusal(refusal.reason, refusal.advice or "no input size would work")
            sizes[index - self.dims] = refusal.smallest
        reason = next(iter(refused.values())).reason
        advice = next((f"; {each.advice}" for each in refused.values() if each.advice), "")
        return Refusal(reason, f"the smallest input that works is {show_dims(sizes)}{advice}")

    def _number(self, option: str, index: int, least: int) -> int:
        """Return an option's number for one axis, which may not be below the least."""
        what = "kernel" if option == "kernel_size" else option
        value = per_axis(getattr(self, option), self.dims, what)[index]
        require(value, least, what)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLayer(SpatialLayer):
    """A layer with a window: what convolutions, poolings, unfold and fold have in common.

    Attributes:
        kernel_size: cells of the window, one number or one per axis.
        stride: step of the window; None is the kernel's size.
        padding: cells added on both sides, or ``valid`` (none) or ``same`` (as many as keep the
            size at stride 1; where that is odd, the additional one goes behind).
        dilation: distance between the window's cells.
    """

    kernel_size: Sizes
    stride: Sizes | None = 1
    padding: Padding = 0
    dilation: Sizes = 1

    def _axis(self, index: int, size: int, axis: AxisName) -> AxisResult:
        return self.window(index).result(size, axis)

    def window(self, index: int) -> Window:
        """Return the window along one axis.

        Raises:
            Refusal: a number of this axis makes no sense, whatever the input.
        """
        kernel = self._number("kernel_size", index, 1)
        stride = kernel if self.stride is None else self._number("stride", index, 1)
        dilation = self._number("dilation", index, 1)
        before, after = self._pads(index, kernel, dilation)
        return Window(kernel=kernel, stride=stride, before=before, after=after, dilation=dilation)

    def _pads(self, index: int, kernel: int, dilation: int) -> tuple[int, int]:
        return (self._number("padding", index, 0),) * 2


def per_axis(value: Sizes, dims: int, what: str) -> tuple[int, ...]:
    """Return one number per axis from a number or a sequence of them.

    Raises:
        Refusal: the sequence has another length than ``dims``.
    """
    numbers = (value,) if isinstance(value, int) else tuple(value)
    if len(numbers) == 1:
        return numbers * dims
    if len(numbers) != dims:
        raise Refusal(
            f"{what} {show_dims(numbers)} has {len(numbers)} numbers for {dims} axes",
            f"give one number, or {dims}",
        )
    return numbers


def require(value: int, least: int, what: str) -> None:
    """Refuse a number below the least that makes sense.

    Raises:
        Refusal: always with no smallest input, since none would help.
    """
    if value < least:
        raise Refusal(
            f"{what} is {value}, and it must be at least {least}",
            f"no input size works with it: set {what} to {least} or more",
        )

"""Layers without a window: flatten, linear, and all that keeps the shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.record import LayerResult, Sees, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(Layer):
    """Axes ``start`` to ``end`` joined into one.

    Attributes:
        start: first axis that is joined.
        end: last axis that is joined; negative counts from the back.
    """

    start: int = 1
    end: int = -1

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return "Flatten"

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on any shape."""
        rank = len(shape)
        for axis in (self.start, self.end):
            if not -max(rank, 1) <= axis < max(rank, 1):
                raise self.refuse(
                    shape, f"it has no axis {axis}", f"its axes are 0 to {max(rank, 1) - 1}"
                )
        if not shape:
            return self._result(shape, (1,), "1")
        start, end = self.start % rank, self.end % rank
        if start > end:
            raise self.refuse(
                shape, f"axis {start} comes after axis {end}", "start must not be behind end"
            )
        joined = shape[start : end + 1]
        total = prod(joined)
        formula = " * ".join(map(str, joined))
        output = (*shape[:start], total, *shape[end + 1 :])
        return self._result(shape, output, formula if len(joined) == 1 else f"{formula} = {total}")

    def _result(self, shape: Shape, output: Shape, formula: str) -> LayerResult:
        return LayerResult(
            type=self.type, input_shape=shape, output_shape=output, sees="mixed", formula=formula
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Layer):
    """A dense layer on the last axis.

    Attributes:
        out_features: its size afterwards.
        in_features: what the weights expect; None takes what comes.
    """

    out_features: int
    in_features: int | None = None

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return "Linear"

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on ``(*, in_features)``."""
        if not shape:
            raise self.refuse(shape, "a scalar has no features", "give it at least one axis")
        if self.in_features is not None and shape[-1] != self.in_features:
            flat = prod(shape[1:])
            hint = f"the last axis must be {self.in_features}"
            if flat == self.in_features:
                hint += "; a flatten before it would do"
            raise self.refuse(
                shape, f"its weights expect {self.in_features} features, not {shape[-1]}", hint
            )
        return LayerResult(
            type=self.type,
            input_shape=shape,
            output_shape=(*shape[:-1], self.out_features),
            sees="everything",
            formula=f"{shape[-1]} features in, {self.out_features} out",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointwise(Layer):
    """A layer that keeps the shape: activation, normalisation, dropout.

    Attributes:
        kind: the class name that torch gives it.
        sees: what a cell depends on; normalisations are read as in evaluation, cell by cell.
    """

    kind: str
    sees: Sees = "same"

    @property
    def type(self) -> str:
        """The class name that torch gives it."""
        return self.kind

    def apply(self, shape: Shape) -> LayerResult:
        """Return the layer's result on any shape."""
        return LayerResult(
            type=self.type, input_shape=shape, output_shape=shape, sees=self.sees, formula="kept"
        )

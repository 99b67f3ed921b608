"""Layers without a window: flatten, linear, and all that keeps the shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.record import LayerResult, Shape
from modelcli.feature_maps.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(Layer):
    """Axes ``start_dim`` to ``end_dim`` joined into one; negative ones count from the back."""

    start_dim: int = 1
    end_dim: int = -1
    TYPE = "Flatten"

    def _apply(self, shape: Shape) -> LayerResult:
        rank = len(shape)
        for axis in (self.start_dim, self.end_dim):
            if not -max(rank, 1) <= axis < max(rank, 1):
                raise Refusal(f"it has no axis {axis}", f"its axes are 0 to {max(rank, 1) - 1}")
        if not shape:
            return self._result(shape, (1,), sees="mixed", formula="1")
        start, end = self.start_dim % rank, self.end_dim % rank
        if start > end:
            raise Refusal(f"axis {start} comes after axis {end}", "start must not be behind end")
        joined = shape[start : end + 1]
        total = prod(joined)
        formula = " * ".join(map(str, joined)) + (f" = {total}" if len(joined) > 1 else "")
        output = (*shape[:start], total, *shape[end + 1 :])
        return self._result(shape, output, sees="mixed", formula=formula)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Layer):
    """A dense layer on the last axis.

    Attributes:
        out_features: its size afterwards.
        in_features: what the weights expect; None and 0 (a lazy layer's) take what comes.
    """

    out_features: int
    in_features: int | None = None
    TYPE = "Linear"

    def _apply(self, shape: Shape) -> LayerResult:
        if not shape:
            raise Refusal("a scalar has no features", "give it at least one axis")
        if self.in_features and shape[-1] != self.in_features:
            flat = prod(shape[1:])
            hint = f"the last axis must be {self.in_features}"
            if flat == self.in_features:
                hint += "; a flatten before it would do"
            raise Refusal(f"its weights expect {self.in_features} features, not {shape[-1]}", hint)
        output = (*shape[:-1], self.out_features)
        formula = f"{shape[-1]} features in, {self.out_features} out"
        weights = ((shape[-1], self.out_features), self.out_features)
        return self._result(shape, output, sees="everything", formula=formula, weights=weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointwise(Layer):
    """A layer that keeps the shape: activation, normalisation as in evaluation, dropout."""

    def _apply(self, shape: Shape) -> LayerResult:
        return self._result(shape, shape, sees="same", formula="kept")

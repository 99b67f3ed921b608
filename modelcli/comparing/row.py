"""The record of one model in a comparison, and what its columns are called. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """What one model costs; None where a number was not asked for or is not known.

    Attributes:
        target: as it is typed.
        params: elements of the unique parameters.
        param_bytes: of these.
        macs: multiply-accumulates of one forward pass.
        flops: floating-point operations of it.
        activations: elements that convolutions, products with matrices and attention give, its
            scores among them.
        activation_bytes: of these.
        peak_bytes: the most memory that the forward pass holds at once.
        latency_s: median time of a forward pass.
        receptive_field: cells of the input that one cell behind the convolutions sees, along the
            axis where it sees most.
        input_shape: of the first input.
        uncounted: operations whose cost is not known; with one, the costs are lower bounds.
        error: why there are no numbers.
    """

    target: str
    params: int | None = None
    param_bytes: int | None = None
    macs: int | None = None
    flops: int | None = None
    activations: int | None = None
    activation_bytes: int | None = None
    peak_bytes: int | None = None
    latency_s: float | None = None
    receptive_field: int | None = None
    input_shape: tuple[int, ...] | None = None
    uncounted: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON holds of a row."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in dataclasses.fields(self)
            for value in [getattr(self, field.name)]
        }


_FIELDS = {field.name for field in dataclasses.fields(ModelRow)}
NUMBERS = (
    "params", "param_bytes", "macs", "flops", "activations", "activation_bytes", "peak_bytes",
    "latency_s", "receptive_field",
)  # fmt: skip
"""Columns with a number: what rows are filtered, sorted and drawn by."""
ON_REQUEST = ("peak_bytes", "latency_s", "receptive_field")
"""Numbers that are only worked out if they are asked for."""


def row_from(body: Mapping[str, Any]) -> ModelRow:
    """Return the row that JSON holds; keys of a later version are passed over.

    Raises:
        ValueError: it is no row.
    """
    values = {key: value for key, value in body.items() if key in _FIELDS}
    if not isinstance(values.get("target"), str):
        raise ValueError("a row without a target")
    for key in NUMBERS:
        value = values.get(key)
        if value is not None and not _is_number(value):
            raise ValueError(f"{key} is {value!r}, not a number")
    shape = values.get("input_shape")
    values["input_shape"] = None if shape is None else _each(shape, int, "input_shape")
    values["uncounted"] = _each(values.get("uncounted") or (), str, "uncounted")
    if not isinstance(values.get("error"), str | None):
        raise ValueError(f"error is {values['error']!r}, not text")
    return ModelRow(**values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e300


def _each(values: Any, kind: type, name: str) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or not all(type(each) is kind for each in values):
        raise ValueError(f"{name} is {values!r}, no list of {kind.__name__}")
    return tuple(values)

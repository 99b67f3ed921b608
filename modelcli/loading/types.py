"""Plain records that loading hands to the other rooms. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Shape = tuple[int, ...]
Mode = Literal["eval", "train"]  # the training flag during a pass
Execution = Literal["meta", "fake", "real"]  # the rungs on which a model may run


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One input tensor as it is asked for.

    Attributes:
        name: the argument's name in ``forward``, with the way into it if it is a dict or a list
            (``batch.x``, ``xs[0]``), or None for the next position.
        dtype: torch's name of the element type, or None to follow the model.
        values: the elements, as nested lists of numbers; None where any will do.
        span: what the elements are from and below; None where they do not matter.
        file: where the tensor, or several by their names, are read from, or None.
    """

    shape: Shape
    name: str | None = None
    dtype: str | None = None
    values: Any = None
    span: tuple[float, float] | None = None
    file: str | None = None

    @property
    def root(self) -> str | None:
        """The argument's name without the way into it."""
        return None if self.name is None else re.split(r"[.\[]", self.name, maxsplit=1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    """What the user said about inputs.

    Attributes:
        specs: ``--input``, in order.
        batch_size: replaces the first dimension of every input, or None.
        kwargs: plain values for ``forward``.
        factory: ``--input-from``, a function that returns the inputs, or None.
    """

    specs: tuple[InputSpec, ...] = ()
    batch_size: int | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    factory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRecord:
    """One tensor that went into the model, and where its shape came from.

    Attributes:
        name: the argument's name in ``forward``, or its position as ``0``.
        origin: for people: ``--input``, ``registry``, ``example_inputs()``, ``inferred: ...``.
    """

    name: str
    dtype: str
    shape: Shape
    origin: str

    @property
    def is_floating(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.dtype.startswith(("float", "bfloat"))

    def spec(self) -> InputSpec:
        """Return what asks for the same tensor again, by name unless it went in by position."""
        name = None if self.name.isdigit() else self.name
        return InputSpec(shape=self.shape, dtype=self.dtype, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One rung of the ladder that did not hold, and why; or a note on how it held."""

    execution: str
    stage: Literal["build", "forward", "note"]
    reason: str

    @property
    def told(self) -> str:
        """The attempt in a line, as ``-v`` shows it."""
        failed = "" if self.stage == "note" else f"{self.stage} failed: "
        return f"{self.execution}: {failed}{self.reason}"

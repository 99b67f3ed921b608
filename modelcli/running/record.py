"""What a run with values leaves: frozen records of plain numbers. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = Any  # nested lists of numbers, as JSON has them


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures of one tensor; None where it has no finite value.

    Attributes:
        mean, std, min, max: of the finite values; ``std`` with n - 1 in its denominator.
        zeros: share of all values that are exactly 0.
        nonfinite: how many values are NaN or infinite.
        histogram: counts of the finite values in equal bins from ``min`` to ``max``.
    """

    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    zeros: float
    nonfinite: int
    histogram: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """One tensor that went in or came out.

    Attributes:
        name: the argument's name, or the place in the output (``""`` where it is the output).
        values: nested lists; None where the tensor is too large to write out.
        edges: the first values and the last.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    values: Values | None
    stats: Figures
    edges: tuple[tuple[Any, ...], tuple[Any, ...]] = ((), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """What one row of the model gave out.

    Attributes:
        first_nonfinite: the first row of the pass whose output has NaN or infinity.
    """

    path: str
    depth: int
    kind: str
    type: str
    shape: tuple[int, ...]
    stats: Figures
    first_nonfinite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GradRow:
    """A parameter's gradient before the backward pass, after it, and after more of them.

    Attributes:
        names: all names of the parameter; more than one where it is shared.
        before: None, as torch has it, unless something filled it.
        after: None for a parameter that gets no gradient.
        accumulated: after all passes, where there was more than one.
        zeroed: after one more pass with the gradients set to None before it.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    before: TensorRecord | None
    after: TensorRecord | None
    accumulated: TensorRecord | None = None
    zeroed: TensorRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A parameter before a step of the optimiser, its gradient, and the parameter after it.

    Attributes:
        arithmetic: the update of one element written out; ``""`` where the rule is not known.
    """

    names: tuple[str, ...]
    before: TensorRecord
    gradient: TensorRecord | None
    after: TensorRecord
    arithmetic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One cell of one layer worked out.

    Attributes:
        value: as worked out.
        computed: as torch computed it.
    """

    path: str
    type: str
    cell: tuple[int, ...]
    lines: tuple[str, ...]
    value: float
    computed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The loss of the pass.

    Attributes:
        name: of ``LOSSES``.
        target: what the output was compared with.
    """

    name: str
    value: float
    target: TensorRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One pass with values, and what was asked about it.

    Attributes:
        origin: where the values of the first input come from, as it was typed.
        remarks: what the user should know about the pass.
        arrays: NumPy arrays by name, whole: inputs, outputs, what was printed, gradients, steps,
            and with ``keep_layers`` the output of every row.
    """

    mode: str
    device: str
    seed: int
    origin: str
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    rows: tuple[LayerRow, ...] = ()
    printed: tuple[TensorRecord, ...] = ()
    loss: Loss | None = None
    grads: tuple[GradRow, ...] = ()
    step: tuple[StepRow, ...] = ()
    optimizer: str = ""
    explained: Explained | None = None
    remarks: tuple[str, ...] = ()
    arrays: Mapping[str, Any] = field(default_factory=dict, repr=False)

"""What one watched pass leaves. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelcli.checks.record import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that one function did.

    Attributes:
        op: the function's name.
        path: the module in whose forward it was called.
        layer: class of that module.
        detail: what else there is to say.
    """

    op: str
    path: str
    layer: str
    place: Place | None = None
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Depth:
    """The signal behind one weighted layer: its spread, and the gradient that comes back."""

    op: str
    path: str
    activation: float
    gradient: float | None = None
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectified:
    """The output of one ReLU: units that are zero for every sample and position."""

    path: str
    op: str
    dead: int
    units: int
    values: int
    place: Place | None = None


@dataclass(slots=True)
class Seen:
    """Everything that one watched pass left."""

    output: Any = None
    error: Exception | None = None
    draws: list[Event] = field(default_factory=list)
    foreign_draw: str = ""  # Python's or numpy's generator moved
    cuts: list[Event] = field(default_factory=list)
    direct_calls: list[Event] = field(default_factory=list)
    fresh_weights: list[Event] = field(default_factory=list)
    doubles: list[Event] = field(default_factory=list)
    input_writes: list[Event] = field(default_factory=list)
    writes: list[Event] = field(default_factory=list)  # in place; detail: shape, version
    nonfinite: Event | None = None
    mixers: list[Event] = field(default_factory=list)
    training_norms: list[Event] = field(default_factory=list)
    lone_values: list[Event] = field(default_factory=list)
    lone_places: list[Event] = field(default_factory=list)
    depths: list[Depth] = field(default_factory=list)
    rectified: list[Rectified] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)  # ids of modules

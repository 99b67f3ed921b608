"""Whether a model is still the same when it has been timed: caches grow, layers drop out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelcli.identity import shape_of
from modelcli.nested import tensors_in
from modelcli.timing.clock import CpuClock
from modelcli.timing.instrument import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What one pass did: the modules that it called, by id and in order, and its outputs."""

    calls: tuple[int, ...]
    parents: tuple[int, ...]
    outputs: tuple[tuple[int, ...], ...]


def follow(run: Callable[[], Any]) -> Course:
    """Run one pass and return its course."""
    held: list[Any] = []
    with Instrument(CpuClock()) as instrument:
        tiles = instrument.take(lambda: held.append(run())).tiles
    outputs = tuple(shape_of(tensor) for tensor in tensors_in(held))
    return Course(calls=tiles.codes, parents=tiles.parents, outputs=outputs)


def describe_change(before: Course, after: Course) -> str:
    """Return how a later pass differs from an earlier one, or ``""``."""
    told = []
    if before.outputs != after.outputs:
        told.append(f"its output was {_shapes(before)} and became {_shapes(after)}")
    if len(before.calls) != len(after.calls):
        told.append(
            f"a pass called {len(before.calls) - 1} modules at first, "
            f"{len(after.calls) - 1} at the end"
        )
    elif (before.calls, before.parents) != (after.calls, after.parents):
        told.append("a pass called its modules in another order at the end")
    if not told:
        return ""
    return f"the model changed while it was timed: {'; '.join(told)}"


def _shapes(course: Course) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in course.outputs) or "nothing"

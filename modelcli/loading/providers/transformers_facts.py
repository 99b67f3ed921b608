"""What the configuration of a transformers model says, in whichever of its parts it says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelcli.loading.types import InputSpec, Shape

TOKENS = 8  # of a text


@dataclass(frozen=True, slots=True)
class Facts:
    """A configuration, and which arguments are given together.

    Attributes:
        config: of the model; the parts of a model of several towers have their own inside it.
        names: of the arguments that go in together.
    """

    config: Any
    names: frozenset[str]

    def numbers(self, *names: str, part: str = "") -> Iterator[int]:
        """Yield what the names hold, first in the parts whose own name begins with ``part``."""
        holders = list(_parts(self.config, part))
        seen: set[int] = set()
        for name in names:
            for holder in holders:
                value = getattr(holder, name, None)
                if isinstance(value, int) and value > 0 and value not in seen:
                    seen.add(value)
                    yield value

    def number(self, *names: str, default: int, part: str = "") -> int:
        """Return the first number that one of the names holds."""
        return next(self.numbers(*names, part=part), default)

    def value(self, *names: str, part: str = "") -> Any:
        """Return the first value that one of the names holds, or None."""
        holders = list(_parts(self.config, part))
        found = (getattr(holder, name, None) for name in names for holder in holders)
        return next((value for value in found if value), None)


def _parts(config: Any, first: str) -> Iterator[Any]:
    """Yield a configuration and those inside it, what the word names before the others."""
    inside = [
        (name, value)
        for name, value in vars(config).items()
        if hasattr(value, "model_type") and hasattr(value, "to_dict")
    ]
    named = [value for name, value in inside if first and name.startswith(first)]
    for part in named:
        yield from _parts(part, first)
    yield config
    for name, part in inside:
        if not first or not name.startswith(first):
            yield from _parts(part, first)


def floats(name: str, *shapes: Shape) -> list[InputSpec]:
    """Return one variant of a floating argument for each shape, each but once."""
    return [InputSpec(name=name, dtype="float32", shape=s) for s in dict.fromkeys(shapes)]


def whole(name: str, values: Any, *shape: int) -> list[InputSpec]:
    """Return an argument of whole numbers that has to hold just these."""
    return [InputSpec(name=name, dtype="int64", shape=shape, values=values)]


def ids(name: str, *shapes: Shape) -> list[InputSpec]:
    """Return one variant of an argument of ids for each shape."""
    return [InputSpec(name=name, dtype="int64", shape=shape) for shape in dict.fromkeys(shapes)]


def mask(name: str, *shapes: Shape, dtype: str = "int64") -> list[InputSpec]:
    """Return one variant of a mask that hides nothing for each shape."""
    return [
        InputSpec(name=name, dtype=dtype, shape=shape, span=(1, 2))
        for shape in dict.fromkeys(shapes)
    ]

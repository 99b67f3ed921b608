"""Properties that are computed when they are first asked for, and once. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from modelcli.checks.record import CannotRun
from modelcli.errors import ModelcliError

T = TypeVar("T")


class lazy(Generic[T]):
    """A property that is computed once; if it cannot be, the reason is remembered and raised."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type) -> T:
        if instance is None:
            return self  # type: ignore[return-value]
        kept: dict[str, Any] = vars(instance).setdefault("_kept", {})
        if self._name not in kept:
            try:
                kept[self._name] = (self._compute(instance), None)
            except (CannotRun, ModelcliError) as error:
                kept[self._name] = (None, error)
        value, reason = kept[self._name]
        if reason is not None:
            raise reason
        found: T = value
        return found

"""Which module is under way in a watched pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from modelcli.checks.observe.locate import calling_place
from modelcli.checks.observe.probe.seen import Event


@dataclass(frozen=True, slots=True)
class Frame:
    """A module whose forward runs."""

    path: str
    module: nn.Module


class Scope:
    """The modules whose forwards run, the innermost last.

    Args:
        model: the outermost.
        names: the path of every module by id, hidden ones too.
    """

    def __init__(self, model: nn.Module, names: dict[int, str]) -> None:
        self.names = names
        self._stack = [Frame("", model)]

    @property
    def top(self) -> Frame:
        """The innermost module under way."""
        return self._stack[-1]

    def name_of(self, module: nn.Module, default: str) -> str:
        """Return a module's path, or a default if it has none."""
        return self.names.get(id(module), default)

    @contextlib.contextmanager
    def entered(self, path: str, module: nn.Module) -> Iterator[None]:
        """Let a module be the innermost meanwhile."""
        self._stack.append(Frame(path, module))
        try:
            yield
        finally:
            self._stack.pop()

    def event(self, op: str, detail: str = "") -> Event:
        """Return what a function did here, with the user's line that called it."""
        return Event(
            op=op,
            path=self.top.path,
            layer=type(self.top.module).__name__,
            place=calling_place(),
            detail=detail,
        )

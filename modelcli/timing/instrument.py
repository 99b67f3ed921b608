"""Passes in which every call of a module, or of a function too, is marked where it begins and ends.

``Module.__call__`` is patched once for a block of passes: every change of a class empties what the
interpreter has cached of it and of all its subclasses, so the first passes after it are slow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modelcli.nested import tensors_in
from modelcli.timing.clock import Clock
from modelcli.timing.tiles import END, Tiles, split_pass
from modelcli.tracing.operations import function_name, is_layer
from modelcli.tracing.vocabulary import is_silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """One marked pass.

    Attributes:
        tiles: its time by call; a module's code is its id, a function's ``-1`` less its number.
        names: of the functions, by number.
        questions: numbers of the calls that gave no tensor.
    """

    tiles: Tiles
    names: tuple[str, ...] = ()
    questions: frozenset[int] = frozenset()


class Instrument:
    """Marks the calls of modules while it is the context; calls of other threads are not marked.

    Args:
        clock: tells the time between marks.
        functions: mark also the functions that are called outside of torch's own layers.
    """

    def __init__(self, clock: Clock, *, functions: bool = False) -> None:
        self._clock = clock
        self._codes: list[int] = []
        self._marks: list[Any] = []
        self._original: Any = None
        self._functions = _Functions(clock, self._codes, self._marks) if functions else None

    def __enter__(self) -> Self:
        self._original = nn.Module.__call__
        nn.Module.__call__ = self._observed(self._original)  # type: ignore[method-assign]
        if self._functions is not None:
            self._functions.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._functions is not None:
                self._functions.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        finally:
            nn.Module.__call__ = self._original  # type: ignore[method-assign]

    def take(self, run: Callable[[], Any]) -> Marked:
        """Run one pass, and return it taken apart.

        Raises:
            UnbalancedError: calls of the pass do not pair.
        """
        return self.take_block(run, 1)[0]

    def take_block(self, run: Callable[[], Any], count: int) -> list[Marked]:
        """Run several passes, and return each taken apart.

        They are taken apart when all have run: what happens between two passes empties the caches
        of the processor, and the second would be slower than one that follows another at once.

        Raises:
            UnbalancedError: calls of a pass do not pair.
        """
        passes = [self._run_one(run) for _ in range(count)]
        return [self._apart(*each) for each in passes]

    def _run_one(self, run: Callable[[], Any]) -> tuple[list[int], list[int], list[int]]:
        """Run a pass; return its codes, its readings and the places of questions."""
        functions = self._functions
        self._codes.clear()
        self._marks.clear()
        if functions is not None:
            functions.questions.clear()
        self._clock.begin()
        self._marks.append(self._clock.mark())
        run()
        self._marks.append(self._clock.mark())
        questions = functions.questions.copy() if functions is not None else []
        return self._codes.copy(), self._clock.read(self._marks), questions

    def _apart(self, codes: list[int], readings: list[int], questions: list[int]) -> Marked:
        tiles = split_pass(codes, readings)
        if self._functions is None:
            return Marked(tiles=tiles)
        begun = list(accumulate(int(code != END) for code in codes))
        return Marked(
            tiles=tiles,
            names=tuple(self._functions.names),
            questions=frozenset(begun[place - 1] for place in questions),
        )

    def _observed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        mark, codes, marks = self._clock.mark, self._codes, self._marks
        here, home = threading.get_ident, threading.get_ident()
        if self._functions is not None:
            original = _without_functions_in_layers(original)

        def observed(module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
            if here() != home:
                return original(module, *args, **kwargs)
            before = mark()
            codes.append(id(module))
            marks.append(before)
            marks.append(mark())
            try:
                return original(module, *args, **kwargs)
            finally:
                before = mark()
                codes.append(END)
                marks.append(before)
                marks.append(mark())

        return observed


def _without_functions_in_layers(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let torch's own layers run without the function mode, which would only slow them down."""
    layers: dict[int, bool] = {}

    def run(module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
        key = id(module)
        if key not in layers:
            layers[key] = is_layer(module)
        if not layers[key]:
            return original(module, *args, **kwargs)
        with torch._C.DisableTorchFunction():
            return original(module, *args, **kwargs)

    return run


class _Functions(TorchFunctionMode):
    """Marks the functions of torch that are called where no layer of torch's own is open."""

    def __init__(self, clock: Clock, codes: list[int], marks: list[Any]) -> None:
        super().__init__()
        self._clock = clock
        self._codes = codes
        self._marks = marks
        self._numbers: dict[str, int] = {}
        self.names: list[str] = []
        self.questions: list[int] = []  # places behind the beginnings of calls without a tensor

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one function, marked unless it only asks something of a tensor."""
        name = getattr(func, "__name__", "")
        if is_silent(name) or name == "__get__":
            return func(*args, **(kwargs or {}))
        mark, codes, marks = self._clock.mark, self._codes, self._marks
        before = mark()
        codes.append(-1 - self._number(func))
        own = len(codes)
        marks.append(before)
        marks.append(mark())
        try:
            output = func(*args, **(kwargs or {}))
        finally:
            before = mark()
            codes.append(END)
            marks.append(before)
            marks.append(mark())
        if not isinstance(output, torch.Tensor) and not any(True for _ in tensors_in(output)):
            self.questions.append(own)
        return output

    def _number(self, func: Any) -> int:
        name = function_name(func)
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number

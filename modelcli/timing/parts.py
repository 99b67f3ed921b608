"""Where the time of a pass goes: blocks of marked passes, beside the plain ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from modelcli.isolation import collection_off
from modelcli.machine.record import Ceilings
from modelcli.timing.clock import Clock
from modelcli.timing.instrument import Instrument, Marked
from modelcli.timing.naming import name_calls
from modelcli.timing.record import Parts
from modelcli.timing.rows import Split, make_rows, split_modules
from modelcli.timing.statistics import middle_half
from modelcli.timing.tiles import average_tiles, is_same_course
from modelcli.timing.traffic import moved_bytes
from modelcli.tracing.record import Trace

DROPPED = 2  # passes after a patch, which finds the interpreter's caches empty
_ROUND_S = 0.5  # of passes that mark modules; a quarter as many mark functions
_LEAST, _MOST = 3, 50  # passes of a round
_NS = 1e-9


class PartsWatch:
    """Marks passes in rounds, as a stopwatch times plain ones.

    Args:
        model: whose calls are marked.
        run: one pass of it.
        clock: tells the time between marks.
    """

    def __init__(self, model: nn.Module, run: Callable[[], Any], clock: Clock) -> None:
        self._model = model
        self._run = run
        self._clock = clock
        self._modules: list[Marked] = []
        self._functions: list[Marked] = []

    def take_round(self, pass_s: float, *, passes: int | None = None) -> None:
        """Mark some passes.

        Args:
            pass_s: about how long a pass takes.
            passes: as many instead of what fits the time of a round.
        """
        count = passes or max(_LEAST, min(_MOST, int(_ROUND_S / pass_s)))
        self._modules += self._block(count, functions=False)
        self._functions += self._block(max(_LEAST, count // 4), functions=True)

    def _block(self, count: int, *, functions: bool) -> list[Marked]:
        with collection_off(), Instrument(self._clock, functions=functions) as instrument:
            return instrument.take_block(self._run, DROPPED + count)[DROPPED:]

    def result(self, trace: Trace, ceilings: Ceilings, residue: Residue) -> Parts:
        """Return the rows of the passes in the middle half.

        Args:
            trace: the same pass observed.
            ceilings: what the machine reaches.
            residue: what marks leave in the time of the calls around them.
        """
        alike, unlike = _alike(self._modules)
        calls = name_calls(self._model, alike[0])
        middle = middle_half(alike, key=lambda each: sum(each.tiles.own))
        own, marks, whole = average_tiles([each.tiles for each in middle])
        rows, taken_s = make_rows(
            calls,
            [time * _NS for time in own],
            splits=self._splits(residue),
            trace=trace,
            moved=moved_bytes(trace),
            ceilings=ceilings,
            module_s=residue.module_s,
        )
        return Parts(
            rows=rows,
            instrumented_s=whole * _NS,
            instrument_s=marks * _NS + taken_s,
            passes=len(middle),
            unlike=unlike,
        )

    def _splits(self, residue: Residue) -> dict[str, Split]:
        """Return proportions: medians, for these need not add up, and one call may be held up."""
        alike, _ = _alike(self._functions)
        columns = zip(*(each.tiles.own for each in alike), strict=True)
        return split_modules(
            name_calls(self._model, alike[0]),
            [statistics.median(times) * _NS for times in columns],
            module_s=residue.module_s,
            function_s=residue.function_s,
        )


def _alike(passes: list[Marked]) -> tuple[list[Marked], int]:
    """Return the passes that made the same calls as the last, and how many did not."""
    last = passes[-1]
    alike = [each for each in passes if is_same_course(each.tiles, last.tiles)]
    return alike, len(passes) - len(alike)


class Residue:
    """What marks leave in the time of the call around them, for want of an earlier reading.

    Measured on modules and functions that do nothing: in a real model, with colder caches, it is
    more. Taking it off makes the parts truer, not true. On an accelerator, whose clock does not
    see the interpreter, nothing is left.

    Attributes:
        module_s: for each call of a module.
        function_s: for each call of a function.
    """

    def __init__(self, clock: Clock, *, on_cpu: bool = True) -> None:
        self.module_s = self.function_s = 0.0
        if on_cpu:
            self.module_s = _left(_Empty(), clock, functions=False)
            self.function_s = _left(_Asks(), clock, functions=True)


_CALLS = 100


class _Nothing(nn.Module):
    def forward(self, x: Any) -> Any:
        """Return what came in."""
        return x


class _Empty(nn.Module):
    """Calls modules that do nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = _Nothing()

    def forward(self, x: Any) -> Any:
        """Call the inner module again and again."""
        for _ in range(_CALLS):
            x = self.inner(x)
        return x


class _Asks(nn.Module):
    """Calls a function that does next to nothing."""

    def forward(self, x: Any) -> Any:
        """View a tensor again and again."""
        for _ in range(_CALLS):
            x.view(1)
        return x


def _left(model: nn.Module, clock: Clock, *, functions: bool) -> float:
    """Return the seconds by which tiles exceed a plain pass, for each call."""
    x = torch.ones(1)
    run = lambda: model(x)  # noqa: E731
    found = []
    with collection_off(), torch.inference_mode():
        for _ in range(5):
            plain = [_plain_ns(run) for _ in range(10)][DROPPED:]
            with Instrument(clock, functions=functions) as instrument:
                passes = instrument.take_block(run, 10)[DROPPED:]
            marked = [sum(each.tiles.own) for each in passes]
            found.append(statistics.median(marked) - statistics.median(plain))
    return max(0.0, statistics.median(found)) * _NS / _CALLS


def _plain_ns(run: Callable[[], Any]) -> int:
    began = time.perf_counter_ns()
    run()
    return time.perf_counter_ns() - began

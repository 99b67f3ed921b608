"""What is kept of a pass with values: figures of every row, and the calls of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from modelcli.nested import map_tensors, tensors_in
from modelcli.running.record import Figures
from modelcli.running.tensors import measure, to_array


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A torch function with what it was called with and what it returned."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor


class PassListener:
    """Keeps what was asked for; everything else is let go at once.

    Args:
        layers: keep the figures of every row's first output.
        path: the row whose functions are kept, or None.
        keep: keep the outputs themselves, as NumPy arrays.
    """

    def __init__(self, *, layers: bool, path: str | None, keep: bool = False) -> None:
        self.figures: dict[str, tuple[tuple[int, ...], Figures]] = {}
        self.order: list[str] = []
        self.calls: list[FunctionCall] = []
        self.paths: set[str] = set()
        self.arrays: dict[str, Any] = {}
        self._keep = keep
        self._layers = layers
        self._path = path

    def on_output(self, path: str, output: Any) -> None:
        """Measure the first tensor of a row's output; of several calls, the last counts."""
        self.paths.add(path)
        if not self._layers:
            return
        first = next(tensors_in(output), None)
        if first is not None:
            self.figures[path] = (tuple(first.shape), measure(first))
            self.order.append(path)
            if self._keep:
                self.arrays[path] = to_array(first)

    def on_function(
        self, path: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any
    ) -> None:
        """Keep a call of the row that is to be explained, as it was before anyone changes it."""
        if path != self._path or not isinstance(output, Tensor):
            return
        kept_args, kept_kwargs = map_tensors((args, dict(kwargs)), lambda t: t.detach().clone())
        self.calls.append(FunctionCall(name, kept_args, kept_kwargs, output.detach().clone()))

    def first_nonfinite(self) -> str | None:
        """Return the row that gave out NaN or infinity first."""
        return next((path for path in self.order if self.figures[path][1].nonfinite), None)

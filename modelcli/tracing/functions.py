"""The functions of torch that a model calls, as a pass sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

from modelcli.tracing.notes import Observation


class Functions(TorchFunctionMode):
    """Hands every torch function of one thread to a pass.

    Args:
        notes: of the pass; a thread that goes on when the pass is over is left alone.
        run: is called with the function, its arguments and its keyword arguments.
    """

    def __init__(self, notes: Observation, run: Callable[..., Any]) -> None:
        super().__init__()
        self._notes = notes
        self._run = run

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one torch function."""
        if self._notes.over:
            return func(*args, **(kwargs or {}))
        return self._run(func, args, kwargs or {})

"""Calling what is the model's, and telling its exceptions from our own. Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from modelcli.errors import describe
from modelcli.loading.user_code import is_ours

if TYPE_CHECKING:
    from torch import nn

    from modelcli.loading.example import ExampleInputs

T = TypeVar("T")

# Our functions that only pass a call on: what is raised in their own lines was raised in C.
_PASSING_ON = ("run_foreign", "call_on_meta")


class ModelRaised(Exception):
    """A model's forward raised, or torch did for it.

    Attributes:
        error: what was raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(describe(error))
        self.error = error


def run_foreign(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call a function that is not ours; what it raises is never taken for a fault of ours.

    Functions written in C leave no line in a traceback: without this one, the last line would be
    that of the watcher that passed the call on.
    """
    return function(*args, **kwargs)


def is_own_fault(error: BaseException) -> bool:
    """Tell whether an exception comes from a line of modelcli, and not from torch or a model."""
    if isinstance(error, RuntimeError):  # torch's word for what it cannot do
        return False
    step = last_step(error)
    if step is None:
        return False
    code = step.tb_frame.f_code
    return is_ours(code.co_filename) and code.co_name not in _PASSING_ON


def last_step(error: BaseException) -> TracebackType | None:
    """Return the innermost entry of a traceback, or None if the exception was never raised."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step


def call_model(model: nn.Module, inputs: ExampleInputs) -> Any:
    """Run a model once, without what torch's compilers log about a pass that fails.

    Raises:
        ModelRaised: its forward raised. A fault of what watches the pass comes as it is.
    """
    muted = logging.root.manager.disable
    logging.disable(max(muted, logging.ERROR))
    try:
        return run_foreign(model, *inputs.args, **inputs.kwargs)
    except Exception as error:  # whatever the user's forward raises
        if is_own_fault(error):
            raise
        raise ModelRaised(error) from error
    finally:
        logging.disable(muted)

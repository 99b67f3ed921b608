"""Whether a forward gets through with some inputs, tried on meta."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.overrides import TorchFunctionMode

from modelcli.loading.bodies import uncompiled_bodies
from modelcli.loading.copying import copy_to_meta
from modelcli.loading.elsewhere import autocast_on_meta
from modelcli.loading.example import ExampleInputs
from modelcli.loading.indices import kept_indices
from modelcli.loading.meta import call_on_meta
from modelcli.modules import modules_of


class _MetaCalls(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return call_on_meta(func, args, kwargs or {})


def runs(model: nn.Module, inputs: ExampleInputs) -> bool:
    """Tell whether the forward of a private module on meta gets through with these inputs."""
    return what_stops(model, inputs) is None


def what_stops(model: nn.Module, inputs: ExampleInputs) -> BaseException | None:
    """Return what a forward on meta raises with these inputs; None where it gets through."""
    if any(isinstance(m, LazyModuleMixin) for m in modules_of(model)):
        model = copy_to_meta(model)  # a failed try would fix the lazy layers' sizes
    error = _error_of(model, inputs)
    if error is not None and needs_values(error):
        with kept_indices():
            error = _error_of(model, inputs)
    # Values that meta cannot give are no fault of the shape: the ladder deals with them.
    return None if error is None or needs_values(error) else error


def _error_of(model: nn.Module, inputs: ExampleInputs) -> BaseException | None:
    try:
        with uncompiled_bodies(), autocast_on_meta(), _MetaCalls(), torch.no_grad():
            _call(model, inputs)
    except (Exception, SystemExit) as error:  # whatever the user's forward raises
        return error
    return None


def _call(model: nn.Module, inputs: ExampleInputs) -> None:
    try:
        model(*inputs.args, **inputs.kwargs)
    except RuntimeError as error:
        if not wants_gradients(error):
            raise
        with torch.enable_grad():
            model(*inputs.args, **inputs.kwargs)


def wants_gradients(error: BaseException) -> bool:
    """Tell whether a forward failed because it asks for gradients where none are kept."""
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "does not require grad" in text or "not have been used in the graph" in text
    )


def needs_values(error: BaseException) -> bool:
    """Tell whether an exception says that a tensor had no values, not that a shape was wrong."""
    text = f"{type(error).__name__} {error}".lower()
    return (
        "meta" in text
        or (isinstance(error, NotImplementedError) and "not implemented for '" not in text)
        or "datadependent" in text
        or "faketensor" in text
        or "fake tensor" in text
    )

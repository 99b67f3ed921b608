"""Another method than ``forward``: a model that is called by ``encode_image``."""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any

from torch import nn

from modelcli.errors import UsageError, did_you_mean
from modelcli.modules import attribute_of


def call_by(model: nn.Module, method: str) -> nn.Module:
    """Let a call of a private model run another of its methods; with no name, nothing is done.

    Hooks, inputs and the observed pass then see that method as they see ``forward``. What the
    method itself asks of ``forward`` it still gets.

    Raises:
        UsageError: the model has no such method.
    """
    if not method or method == "forward":
        return model
    found = attribute_of(model, method)
    if not inspect.ismethod(found):
        names = [name for name, _ in inspect.getmembers(type(model), inspect.isfunction)]
        own = [n for n in names if not n.startswith("_") and not hasattr(nn.Module, n)]
        own = [n for n in own if n != "forward"]
        listed = f"it has {', '.join(own)}" if own else "it has none beside forward"
        raise UsageError(
            f"{type(model).__name__} has no method '{method}'", did_you_mean(method, own) + listed
        )

    @functools.wraps(found.__func__)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        stands_in = self.__dict__.pop("forward", None)
        try:
            return getattr(self, method)(*args, **kwargs)
        finally:
            if stands_in is not None:
                self.__dict__["forward"] = stands_in

    model.__dict__["forward"] = types.MethodType(forward, model)  # a copy of it gets its own
    return model

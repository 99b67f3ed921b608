"""A copy of a model on meta, with the layers that are not registered."""

from __future__ import annotations

from torch import nn

from modelcli.checks.observe.attributes import find_hidden
from modelcli.checks.record import CannotRun
from modelcli.loading.copying import copy_to_meta
from modelcli.loading.twins import move_to_meta


def copy_whole_to_meta(model: nn.Module) -> nn.Module:
    """Return a copy on meta, hidden layers included.

    Raises:
        CannotRun: it cannot be copied.
    """
    try:
        copied = copy_to_meta(model)
        for hidden in find_hidden(copied):  # MC101 speaks of those
            if isinstance(hidden.value, nn.Module):
                move_to_meta(hidden.value)
    except Exception as error:  # a module may hold anything
        raise CannotRun(f"it cannot be copied to meta: {type(error).__name__}") from error
    return copied

"""What FSDP cannot cut, found before anything is built."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelcli.config import OptimizerConfig
from modelcli.errors import UsageError
from modelcli.modules import named_parameters
from modelcli.training.optimizer import optimizer_class

_UNCUT_OPTIMIZERS = ("Adafactor", "Rprop", "Muon")
_UNCUT_FUSED = ("SGD", "Adagrad")


def refuse_optimizer(config: OptimizerConfig) -> None:
    """Refuse an optimiser that does not work on cut weights.

    Raises:
        UsageError: it needs the whole of a weight, or its fused kernel does.
    """
    kind = optimizer_class(config.name).__name__
    hint = "use adam, adamw, sgd, rmsprop, ..., or --parallel ddp"
    if kind in _UNCUT_OPTIMIZERS:
        raise UsageError(
            f"the optimizer '{config.name}' does not work on weights cut by fsdp", hint
        )
    if config.kwargs.get("fused") and kind in _UNCUT_FUSED:
        raise UsageError(
            f"the fused kernel of '{config.name}' does not work on weights cut by fsdp",
            "leave out optimizer.fused, or use --parallel ddp",
        )


def refuse_model(model: nn.Module, units: Sequence[str]) -> None:
    """Refuse a model that FSDP cannot cut.

    Raises:
        UsageError: a parameter has no rows, is laid out in another way than by rows, or has
            another element type than those that are gathered with it.
    """
    hint = "use --parallel ddp"
    groups: dict[str, tuple[str, torch.dtype]] = {}
    for name, parameter in named_parameters(model):
        if is_lazy(parameter):
            raise UsageError(f"'{name}' has no shape yet, and fsdp cuts weights by rows", hint)
        if not parameter.dim():
            raise UsageError(f"'{name}' is a single number, which fsdp cannot cut", hint)
        if not parameter.is_contiguous():
            raise UsageError(f"'{name}' is not laid out by rows, as fsdp needs it", hint)
        unit = next((unit for unit in units if name.startswith(f"{unit}.")), "")
        other, dtype = groups.setdefault(unit, (name, parameter.dtype))
        if parameter.is_floating_point() and dtype.is_floating_point and parameter.dtype != dtype:
            raise UsageError(
                f"'{name}' is {str(parameter.dtype)[6:]} and '{other}' is {str(dtype)[6:]}: fsdp "
                "gathers weights of one type",
                hint,
            )

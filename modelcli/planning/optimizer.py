"""The optimiser of ``train`` on a model without storage."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from modelcli.config import OptimizerConfig, default_lr
from modelcli.identity import count_unique
from modelcli.tracing.device_paths import Device
from modelcli.training.optimizer import build_optimizer


def planned_optimizer(
    config: OptimizerConfig, device: Device
) -> Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]:
    """Return what builds the optimiser that ``train`` would on a device: fused where it is there.

    Raises:
        UsageError: from what is returned: an unknown optimiser, or arguments that it refuses.
    """

    def make(params: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        lr = config.lr if config.lr is not None else default_lr(config.name, count_unique(params))
        return build_optimizer(replace(config, lr=lr), params, device=torch.device(device))

    return make


@contextlib.contextmanager
def fused_on_meta() -> Iterator[None]:
    """Let optimisers take their fused kernels on meta, as they would on the device."""
    home: Any = importlib.import_module("torch.optim.optimizer")
    name = "_get_fused_kernels_supported_devices"
    found = getattr(home, name, None)
    if found is None:  # a torch that does not ask
        yield
        return
    setattr(home, name, lambda: [*found(), "meta"])
    try:
        yield
    finally:
        setattr(home, name, found)


def describe_optimizer(optimizer: torch.optim.Optimizer) -> str:
    """Return which of its implementations an optimiser runs: ``fused``, ``foreach`` or ``loop``."""
    group = optimizer.param_groups[0]
    return next((name for name in ("fused", "foreach") if group.get(name)), "loop")

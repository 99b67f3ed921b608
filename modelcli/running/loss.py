"""The loss of a pass with values, and its target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from modelcli.errors import UsageError
from modelcli.losses import LOSSES, label_shape
from modelcli.running.given import Given
from modelcli.running.values import make_tensor
from modelcli.training.objective import Objective, float_tensors


def make_loss(
    name: str, given: Given, output: Any, seed: int
) -> tuple[Tensor, Callable[[Any], Tensor]]:
    """Return the target, and a function from an output of the model to its loss.

    Args:
        name: of ``LOSSES``.
        given: the target as it was described.
        output: of the model; its first tensor of real numbers is compared with the target.
        seed: of a target that is drawn.

    Raises:
        UsageError: a target that does not fit, or that the loss refuses.
        RunFailedError: the output has no tensor of real numbers.
    """
    first = float_tensors(output)[0]
    target = _make_target(name, given, first, seed).to(first.device)
    kind = LOSSES[name].takes
    objective = Objective(name, kind=kind, device=first.device, dtype=first.dtype)

    def compute(result: Any) -> Tensor:
        try:
            return objective.loss(result, (target,))
        except (RuntimeError, ValueError, IndexError) as error:
            words = " ".join(str(error).split())
            raise UsageError(
                f"the loss '{name}' refuses this output and target: {words}",
                f"the output is {tuple(first.shape)}, the target {tuple(target.shape)}",
            ) from error

    return target, compute


def _make_target(name: str, given: Given, output: Tensor, seed: int) -> Tensor:
    labels = LOSSES[name].takes == "labels"
    return make_tensor(
        given,
        label_shape(output.shape) if labels else tuple(output.shape),
        torch.int64 if labels else output.dtype,
        flag="--target",
        fixed=True,
        generator=torch.Generator().manual_seed(seed + 1),
    )

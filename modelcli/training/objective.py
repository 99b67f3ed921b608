"""What a model's output is measured by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import LOSSES
from modelcli.errors import RunFailedError, UsageError
from modelcli.training.data import TargetKind, Tensors


def call_model(model: nn.Module, inputs: Tensors, names: tuple[str, ...] = ("",)) -> Any:
    """Run a model on positional and named inputs."""
    if names == ("",):
        return model(inputs[0])
    positional = [tensor for tensor, name in zip(inputs, names, strict=True) if not name]
    keyword = {name: tensor for tensor, name in zip(inputs, names, strict=True) if name}
    return model(*positional, **keyword)


def float_tensors(output: Any) -> Tensors:
    """Return the floating-point tensors in any output, in order; each one once.

    Raises:
        RunFailedError: there is none.
    """
    found: list[Tensor] = []
    _collect(output, found)
    if not found:
        raise RunFailedError(
            f"the model's output ({type(output).__name__}) has no floating-point tensor",
            "there is nothing that a loss could be computed from",
        )
    return tuple(found)


def _collect(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        if value.is_floating_point() and not any(value is each for each in found):
            found.append(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, (tuple, list)):
        for item in value:
            _collect(item, found)


class Objective:
    """A loss on a model's output.

    Args:
        name: a name of ``LOSSES``, or ``auto``.
        kind: what the targets are.
        kwargs: keyword arguments of the loss.

    Raises:
        UsageError: the loss takes other targets, or does not take an argument.
    """

    def __init__(
        self, name: str, *, kind: TargetKind, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self.name = name if name != "auto" else ("cross_entropy" if kind == "labels" else "mse")
        self.kind = kind
        takes, class_name, _ = LOSSES[self.name]
        if takes != kind:
            fitting = ", ".join(each for each, loss in LOSSES.items() if loss[0] == kind)
            raise UsageError(
                f"the loss '{self.name}' takes {_described(takes)}, and this task has "
                f"{_described(kind)}",
                f"use --loss with one of {fitting}",
            )
        try:
            self._loss: Callable[[Tensor, Tensor], Tensor] = getattr(nn, class_name)(
                **dict(kwargs or {})
            )
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"the loss '{self.name}' refuses its arguments: {error}",
                "look at the [loss] section and at --set loss.KEY=",
            ) from None

    def loss(self, output: Any, targets: Tensors) -> Tensor:
        """Return the scalar loss of an output, the mean over its tensors."""
        if len(targets) == 1:
            return self._one(output if isinstance(output, Tensor) else _first(output), targets[0])
        outputs = float_tensors(output)
        losses = [self._one(out, y) for out, y in zip(outputs, targets, strict=True)]
        return torch.stack(losses).mean()

    def _one(self, output: Tensor, target: Tensor) -> Tensor:
        if self.name == "nll":
            output = output.log_softmax(1)
        return self._loss(output, target)

    def correct(self, output: Any, targets: Tensors) -> Tensor | None:
        """Return how many labels are right, as a scalar tensor; None for values."""
        if self.kind != "labels":
            return None
        scores = output if isinstance(output, Tensor) else _first(output)
        return (scores.argmax(1) == targets[0]).sum()


def _first(output: Any) -> Tensor:
    return float_tensors(output)[0]


def _described(kind: str) -> str:
    return "class labels" if kind == "labels" else "real values"


def untrained_loss(objective: Objective, targets: Tensors, classes: int) -> tuple[float, str]:
    """Return the loss to be expected of a model that knows nothing, and how it is derived.

    For C classes that is ln C, the cross-entropy of C equal chances; for values, the loss of
    answering with their mean.
    """
    if objective.kind == "labels":
        if objective.name in ("cross_entropy", "nll"):
            return math.log(classes), f"untrained is ln {classes} ="
        labels = targets[0]
        equal = torch.zeros(len(labels), classes, device=labels.device)
        return float(objective.loss(equal, targets)), "equal scores give"
    means = tuple(y.float().mean(0, keepdim=True).expand_as(y).to(y.dtype) for y in targets)
    losses = [objective._one(mean, y) for mean, y in zip(means, targets, strict=True)]
    return float(torch.stack(losses).mean()), "answering with the mean gives"

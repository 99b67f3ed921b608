"""Watching: how large every weight, gradient and update is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modelcli.identity import parameter_groups
from modelcli.training.distributed.parts import whole

EXPLODING = 1e3  # a gradient norm above this is called exploding
SMALL_VALUE = 0.01  # a weight near zero, as a new bias is, counts as one of such values
LARGE_RATIO = 0.5  # an update of half the weight's own size


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One parameter tensor after a step.

    Attributes:
        epoch: passes over the samples so far; 0 where there are none, because they are fresh.
        names: all names of the tensor; more than one where it is tied.
        grad_norm: None where it has no gradient.
        ratio: norm of the update over that of the weight before it, or of values of 0.01 where
            it is smaller; None without a snapshot.
        warning: "" or what is wrong.
    """

    step: int
    epoch: int
    names: tuple[str, ...]
    weight_norm: float
    grad_norm: float | None
    ratio: float | None
    warning: str


class Watch:
    """Compares the parameters of a model before and after a step."""

    def __init__(self, model: nn.Module) -> None:
        self._groups = parameter_groups(model)
        self._before: list[Tensor] = []

    def snapshot(self) -> None:
        """Remember the weights, before the step that will be looked at."""
        self._before = [group.parameter.detach().clone() for group in self._groups]

    def look(self, *, step: int, epoch: int, clip_factor: float = 1.0) -> list[Watched]:
        """Return a row for every tensor, after the step.

        Args:
            clip_factor: what clipping multiplied the gradients by; their norms are told before it.
        """
        rows = []
        for number, group in enumerate(self._groups):
            param = group.parameter
            before = self._before[number] if self._before else None
            grad = group.gradient()
            weight_norm = _norm(param.detach())
            grad_norm = _norm(grad) / clip_factor if grad is not None else None
            ratio = None
            if before is not None:
                size = max(_norm(before), SMALL_VALUE * math.sqrt(before.numel()))
                ratio = _norm(param.detach() - before) / size if size else None
            rows.append(
                Watched(
                    step=step,
                    epoch=epoch,
                    names=group.names,
                    weight_norm=weight_norm,
                    grad_norm=grad_norm,
                    ratio=ratio,
                    warning=_warning(param, weight_norm, grad_norm, ratio),
                )
            )
        self._before = []
        return rows


def _norm(tensor: Tensor) -> float:
    return float(whole(torch.linalg.vector_norm(tensor.float())))


def _warning(
    param: nn.Parameter, weight_norm: float, grad_norm: float | None, ratio: float | None
) -> str:
    if not math.isfinite(weight_norm):
        return "weight is not finite"
    if not param.requires_grad:
        return "frozen"
    if grad_norm is None:
        return "no gradient: it did not run"
    if not math.isfinite(grad_norm):
        return "gradient is not finite"
    if grad_norm == 0:
        return "gradient is zero"
    if grad_norm > EXPLODING:
        return "gradient is exploding"
    return "update is large" if ratio is not None and ratio > LARGE_RATIO else ""

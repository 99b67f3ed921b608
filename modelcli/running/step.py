"""One step of an optimiser, with the arithmetic of one element written out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import OptimizerConfig, default_lr
from modelcli.errors import UsageError
from modelcli.identity import count_unique, parameter_groups
from modelcli.modules import parameters_of
from modelcli.running.explain.text import bracketed, show_number
from modelcli.running.record import StepRow
from modelcli.running.tensors import record_tensor
from modelcli.training.optimizer import build_optimizer


def take_step(model: nn.Module, config: OptimizerConfig) -> tuple[tuple[StepRow, ...], str]:
    """Let an optimiser change the parameters of a model of our own, once.

    Returns:
        One row for each parameter, and what the optimiser is called with its settings.

    Raises:
        UsageError: an unknown optimiser or argument, or nothing to train.
    """
    wanted = [p for p in parameters_of(model) if p.requires_grad]
    if not wanted:
        raise UsageError("the model has no parameter to train", "leave --step out")
    if config.lr is None:
        config = replace(config, lr=default_lr(config.name, count_unique(wanted)))
    optimizer = build_optimizer(config, wanted, device=wanted[0].device)
    groups = parameter_groups(model)
    before = [group.parameter.detach().clone() for group in groups]
    grads = [group.parameter.grad for group in groups]
    grads = [None if grad is None else grad.detach().clone() for grad in grads]
    optimizer.step()
    settings = optimizer.param_groups[0]
    rule = type(optimizer).__name__
    rows = []
    for group, old, grad in zip(groups, before, grads, strict=True):
        new = group.parameter.detach()
        changes = grad is not None and group.parameter.requires_grad
        rows.append(
            StepRow(
                names=group.names,
                before=record_tensor(group.names[0], old),
                gradient=None if grad is None else record_tensor(group.names[0], grad),
                after=record_tensor(group.names[0], new),
                arithmetic=_written(rule, settings, old, grad, new)
                if changes and grad is not None
                else "",
            )
        )
    return tuple(rows), f"{rule} with lr {settings['lr']:g}"


def _written(rule: str, settings: dict[str, Any], old: Tensor, grad: Tensor, new: Tensor) -> str:
    """Write the first step of the first element whose gradient is not 0 out in numbers."""
    flat = grad.flatten()
    moved = torch.nonzero(flat)
    place = int(moved[0]) if len(moved) else 0
    weight, slope, after = (float(t.flatten()[place]) for t in (old, flat, new))
    formulas = {"SGD": _sgd, "Adam": _adam, "AdamW": _adam}
    if rule not in formulas or settings.get("maximize"):
        return ""
    words, value = formulas[rule](rule, settings, weight, slope)
    if not math.isclose(value, after, rel_tol=1e-4, abs_tol=1e-6):
        return ""  # a setting that the formula does not know: nothing is better than wrong
    index = ",".join(
        str(int(i)) for i in torch.unravel_index(torch.tensor(place), old.shape or (1,))
    )
    return f"[{index}]  {words} = {show_number(after)}"


def _sgd(rule: str, settings: dict[str, Any], weight: float, slope: float) -> tuple[str, float]:
    lr, decay = float(settings["lr"]), float(settings["weight_decay"])
    momentum = float(settings["momentum"])
    grad, written = slope, bracketed(slope)
    if decay:
        grad += decay * weight
        written = f"({show_number(slope)} + {decay:g} * {bracketed(weight)})"
    if momentum and settings["nesterov"]:
        grad *= 1 + momentum
        written = f"{written} * (1 + {momentum:g})"
    return f"{show_number(weight)} - {lr:g} * {written}", weight - lr * grad


def _adam(rule: str, settings: dict[str, Any], weight: float, slope: float) -> tuple[str, float]:
    """At the first step the moments' corrections leave the gradient and its absolute value."""
    lr, decay, eps = (float(settings[key]) for key in ("lr", "weight_decay", "eps"))
    start, shown, grad = weight, show_number(weight), slope
    if decay and rule == "AdamW":
        start *= 1 - lr * decay
        shown = f"{shown} * (1 - {lr:g} * {decay:g})"
    elif decay:
        grad += decay * weight
    step = lr * grad / (abs(grad) + eps)
    words = f"{shown} - {lr:g} * {bracketed(grad)} / (sqrt({bracketed(grad)}^2) + {eps:g})"
    return words, start - step

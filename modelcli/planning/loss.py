"""The loss of a planned step, on targets without values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modelcli.config import LossConfig
from modelcli.errors import UsageError
from modelcli.losses import Takes, find_loss, label_shape
from modelcli.registry import ModelSpec, Task
from modelcli.training.objective import Objective, float_tensors
from modelcli.training.run.model import task_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLoss:
    """A loss with the targets that it compares an output with.

    Attributes:
        name: for people.
        targets: none where the model computes its loss itself.
        compute: from an output to the scalar loss.
    """

    name: str
    targets: tuple[Tensor, ...]
    compute: Callable[[Any], Tensor]


def make_loss(
    config: LossConfig, output: Any, *, spec: ModelSpec | None, inputs: list[Tensor]
) -> StepLoss:
    """Return the loss of a configuration for outputs such as this one.

    ``auto`` is the loss that the model computes itself, where its output has one; else that of
    ``train``, and for scores of tokens the cross-entropy of each.

    Args:
        output: of the model.
        spec: the registry's record of the model, if it has one.
        inputs: tensors that went into the model.

    Raises:
        UsageError: the loss refuses the output.
        RunFailedError: the output has no tensor of real numbers.
    """
    own = _own_loss(output)
    if config.name == "auto" and own is not None:
        return StepLoss(name="the model's own", targets=(), compute=_needed_own_loss)
    outputs = float_tensors(output)
    has_ids = any(not tensor.is_floating_point() for tensor in inputs)
    kind = _kind(config.name, spec, outputs, inputs)
    first = outputs[0]
    objective = Objective(
        config.name, kind=kind, kwargs=config.kwargs, device=first.device, dtype=first.dtype
    )
    if kind == "values":
        targets = tuple(torch.zeros_like(tensor).detach() for tensor in outputs)
        return StepLoss(name=objective.name, targets=targets, compute=_checked(objective, targets))
    of_tokens = has_ids and first.dim() == 3  # scores (B, T, V)
    shape = tuple(first.shape[:-1]) if of_tokens else label_shape(first.shape)
    labels = torch.zeros(shape, dtype=torch.int64, device=first.device)
    compute = _checked(objective, (labels,))
    return StepLoss(name=objective.name, targets=(labels,), compute=compute)


def _kind(
    name: str, spec: ModelSpec | None, outputs: tuple[Tensor, ...], inputs: list[Tensor]
) -> Takes:
    if name != "auto":
        return find_loss(name).takes
    shapes = tuple(tuple(tensor.shape) for tensor in outputs)
    floating = [tensor.is_floating_point() for tensor in inputs]
    scores_of_tokens = not all(floating) and len(shapes[0]) == 3
    task = task_of(spec, shapes, floating == [True])
    is_labels = task in (Task.CLASSIFICATION, Task.LANGUAGE)
    return "labels" if is_labels or (spec is None and scores_of_tokens) else "values"


def _checked(objective: Objective, targets: tuple[Tensor, ...]) -> Callable[[Any], Tensor]:
    def compute(output: Any) -> Tensor:
        try:
            return objective.loss(output, targets)
        except (RuntimeError, ValueError, IndexError) as error:
            words = " ".join(str(error).split())
            shapes = " ".join(str(tuple(t.shape)) for t in float_tensors(output))
            raise UsageError(
                f"the loss '{objective.name}' refuses this output: {words}",
                f"the model gives {shapes}; --loss names another",
            ) from error

    return compute


def _own_loss(output: Any) -> Tensor | None:
    found = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    is_one = isinstance(found, Tensor) and found.dim() == 0 and found.requires_grad
    return found if is_one else None


def _needed_own_loss(output: Any) -> Tensor:
    found = _own_loss(output)
    assert found is not None  # it had one in the step before
    return found

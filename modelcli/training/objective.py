"""Losses as objectives: built by name, checked against targets and outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.errors import RunFailedError, UsageError
from modelcli.losses import LOSSES, find_loss
from modelcli.nested import tensors_in
from modelcli.training.data.tensors import TargetKind, Tensors


def float_tensors(output: Any) -> Tensors:
    """Return the floating-point tensors in any output, in order; each one once.

    A number without any dimension is left out: it is a loss of the model's own, or a statistic.

    Raises:
        RunFailedError: there is none.
    """
    found: list[Tensor] = []
    for tensor in tensors_in(output):
        if tensor.is_floating_point() and not any(tensor is each for each in found):
            found.append(tensor)
    if found and not any(tensor.dim() for tensor in found):
        raise RunFailedError(
            "the model's output is a single number, with no row for a sample",
            "train needs scores or values; it computes the loss itself",
        )
    found = [tensor for tensor in found if tensor.dim()]
    if not found:
        raise RunFailedError(
            f"the model's output ({type(output).__name__}) has no floating-point tensor",
            "there is nothing that a loss could be computed from",
        )
    return tuple(found)


class Objective:
    """A loss on a model's output.

    Args:
        name: a name of ``LOSSES``, or ``auto``.
        kind: what the targets are.
        kwargs: keyword arguments of the loss; lists become tensors.
        device: where those tensors lie.
        dtype: their element type.

    Raises:
        UsageError: the loss takes other targets, or does not take an argument.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: TargetKind,
        kwargs: Mapping[str, Any] | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        default = "cross_entropy" if kind == "labels" else "mse"
        self.spec = find_loss(default if name == "auto" else name)
        self.name = self.spec.name
        self.is_plain_cross_entropy = self.name in ("cross_entropy", "nll") and not kwargs
        self.kind = kind
        self._dtype = dtype
        takes, arguments = self.spec.takes, self.spec.arguments
        if takes != kind:
            fitting = ", ".join(each.name for each in LOSSES.values() if each.takes == kind)
            raise UsageError(
                f"the loss '{self.name}' takes {_described(takes)}, and this task has "
                f"{_described(kind)}",
                f"use --loss with one of {fitting}",
            )
        for key in kwargs or {}:
            if key not in arguments:
                has = ", ".join(arguments) or "none"
                raise UsageError(f"the loss '{self.name}' takes no '{key}'", f"it takes {has}")
        try:
            given = {
                key: torch.tensor(value, dtype=dtype, device=device)
                if isinstance(value, (list, tuple))
                else value
                for key, value in (kwargs or {}).items()
            }
            self._loss: Any = getattr(nn, self.spec.module)(**given)
        except (TypeError, ValueError) as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> UsageError:
        return UsageError(
            f"the loss '{self.name}' refuses its arguments: {' '.join(str(error).split())}",
            "look at the [loss] section and at --set loss.KEY=",
        )

    def check_targets(self, targets: Tensors, out_shapes: tuple[tuple[int, ...], ...]) -> None:
        """Try the loss on targets: it must take its arguments, and their range.

        Args:
            targets: of all samples; empty where they are made for each batch.
            out_shapes: of the model's outputs for two samples.

        Raises:
            UsageError: the loss raises, or is not defined for such targets.
        """
        least, most = self.spec.least, self.spec.most
        for target, shape in zip(targets, out_shapes, strict=False):
            low, high = float(target.min()), float(target.max())
            if low < least or high > most:
                raise UsageError(
                    f"the loss '{self.name}' takes targets from {least:g} to {most:g}, and these "
                    f"go from {low:.4g} to {high:.4g}",
                    "use --loss mse, l1 or huber; or a data file with such targets",
                )
            if self.kind == "labels" and target.dim() == 2:
                target = target.flatten()
                shape = shape[:1] + shape[-1:]
            output = torch.full(shape, 0.5, device=target.device, dtype=self._dtype)
            try:
                self._one(output, target[: len(output)].expand(len(output), *target.shape[1:]))
            except (RuntimeError, ValueError, IndexError) as error:
                raise self._refused(error) from None

    def loss(self, output: Any, targets: Tensors) -> Tensor:
        """Return the scalar loss of an output, the mean over its tensors."""
        if len(targets) == 1:
            return self._one(output if isinstance(output, Tensor) else _first(output), targets[0])
        outputs = float_tensors(output)
        losses = [self._one(out, y) for out, y in zip(outputs, targets, strict=True)]
        return torch.stack(losses).mean()

    def _one(self, output: Tensor, target: Tensor) -> Tensor:
        if self.kind == "labels" and target.dim() == 2:  # scores (B, T, V) of tokens (B, T)
            output, target = output.flatten(0, 1), target.flatten()
        loss: Tensor = self._loss(output, target)
        return loss

    def loss_sum(self, output: Any, targets: Tensors) -> tuple[Tensor, Tensor]:
        """Return what parts of a batch must add up for the loss of the whole.

        Returns:
            Sums and counts (K,), one for each of K outputs: the loss is the mean of the quotients.
            A count is that of the samples; of labels, that of those that are not ignored, by their
            weights, as ``torch.nn.CrossEntropyLoss`` has it.
        """
        outputs = float_tensors(output)[:1] if len(targets) == 1 else float_tensors(output)
        pairs = [self._summed(out, y) for out, y in zip(outputs, targets, strict=True)]
        return torch.stack([each for each, _ in pairs]), torch.stack([count for _, count in pairs])

    def _summed(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if self.spec.ignored is None:
            loss = self._one(output, target)
            return loss * len(target), loss.new_full((), len(target))
        reduction, counted = self._loss.reduction, target != self.spec.ignored
        try:
            self._loss.reduction = "sum"
            loss = self._one(output, target)
        finally:
            self._loss.reduction = reduction
        weight = self._loss.weight
        counts = counted if weight is None else weight[target.where(counted, 0)] * counted
        return loss, counts.sum().to(loss.dtype)

    def check_output(self, output: Any) -> None:
        """Check that a model gives what the loss is defined for.

        Raises:
            UsageError: ``nll`` of outputs that are no log-probabilities: it has no lower end.
        """
        scores = _first(output)
        if scores.dim() == 3 and self.kind == "labels":
            scores = scores.flatten(0, 1)  # of tokens
        total = probability_sum(self.name, scores)
        if total is not None:
            raise UsageError(
                f"the loss 'nll' takes log-probabilities, and the model gives raw scores "
                f"(their exponentials sum to {total:.3g}, not 1)",
                "use --loss cross_entropy, or end forward in log_softmax(dim=1)",
            )

    def correct(self, output: Any, targets: Tensors) -> Tensor | None:
        """Return how many labels are right, as a scalar tensor; None for values.

        Of tokens (B, T) it is the share that is right, times B.
        """
        if self.kind != "labels":
            return None
        scores = output if isinstance(output, Tensor) else _first(output)
        labels = targets[0]
        right = scores.argmax(-1).eq(labels)
        if labels.dim() == 1:
            return right.sum()
        counted = labels.ne(-100 if self.spec.ignored is None else self.spec.ignored)
        return right.logical_and(counted).sum() / counted.sum() * len(labels)


def probability_sum(loss: str, output: Tensor) -> float | None:
    """Return what the exponentials of an output sum to where ``loss`` wants 1, and they do not.

    Args:
        loss: a name of ``LOSSES``.
        output: (B, C, ...); the sample that is farthest from 1 is told.

    Returns:
        None where the loss does not want log-probabilities, or the output is that.
    """
    if LOSSES[loss].output != "log-probabilities" or output.dim() < 2:
        return None
    totals = output.detach().float().exp().sum(1)
    farthest = totals.flatten()[(totals - 1).abs().argmax()]
    return float(farthest) if abs(float(farthest) - 1) > 0.05 else None


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
        equal = torch.zeros(*labels.shape, classes, device=labels.device)
        return float(objective.loss(equal, targets)), "equal scores give"
    means = tuple(y.float().mean(0, keepdim=True).expand_as(y).to(y.dtype) for y in targets)
    losses = [objective._one(mean, y) for mean, y in zip(means, targets, strict=True)]
    return float(torch.stack(losses).mean()), "answering with the mean gives"

"""Measure a trained model and compare it with the best possible result."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modelcli.isolation import modes_kept
from modelcli.modules import switch_mode
from modelcli.training.data.tensors import Data, Split
from modelcli.training.engine.step import Learner, first_tensor

MAX_PROBED_INPUTS = 64  # a linear map of more inputs is not printed


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A model on one split.

    Attributes:
        accuracy: share of right labels, None for values.
    """

    loss: float
    accuracy: float | None
    samples: int


def evaluate(learner: Learner, data: Data, split: Split, *, batch_size: int) -> Score:
    """Measure a model in evaluation mode, leaving it in the mode it was in."""
    model = learner.model
    losses: list[Tensor] = []
    correct: list[Tensor] = []
    sizes: list[int] = []
    with modes_kept(model), torch.no_grad():
        switch_mode(model, False)
        for start in range(0, len(split), batch_size):
            batch = split.slice(start, min(start + batch_size, len(split)))
            if data.complete is not None:
                batch = Split(inputs=batch.inputs, targets=data.complete(batch.inputs))
            output, loss = learner.forward(batch)
            right = learner.objective.correct(output, batch.targets)
            sizes.append(len(batch))
            losses.append(loss * len(batch))
            if right is not None:
                correct.append(right)
    total = sum(sizes)
    accuracy = float(torch.stack(correct).sum()) / total if correct else None
    return Score(loss=float(torch.stack(losses).sum()) / total, accuracy=accuracy, samples=total)


def loss_floor(learner: Learner, data: Data) -> float | None:
    """Return the loss of the true function itself, which is what the noise leaves over."""
    if data.facts.floor is not None:
        return data.facts.floor if learner.objective.is_plain_cross_entropy else None
    if data.facts.clean is None:
        return None
    split = data.held_out or data.train
    clean = data.facts.clean(split)
    losses = [
        learner.objective.loss(output, (target,))
        for output, target in zip(clean, split.targets, strict=True)
    ]
    return float(torch.stack(losses).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A linear map that was learned, beside the true one.

    Attributes:
        weight: learned (in, out), row by row.
        bias: learned (out,).
        largest_error: of all weights and biases.
    """

    weight: list[list[float]]
    bias: list[float]
    true_weight: list[list[float]]
    true_bias: list[float]
    largest_error: float


def recover_linear(learner: Learner, data: Data) -> Recovered | None:
    """Return the linear map that a model computes; None if the task or the model is not linear.

    The model's outputs for zero and for each unit vector are its bias and its weights; that it is
    linear at all is tried on the sum of all of them.
    """
    facts = data.facts
    if facts.weight is None or facts.bias is None or len(facts.weight) > MAX_PROBED_INPUTS:
        return None
    n_in = len(facts.weight)
    first = data.train.inputs[0]
    shape = first.shape[1:]
    probes = torch.zeros(n_in + 2, n_in, dtype=first.dtype, device=first.device)
    probes[1 : n_in + 1] = torch.eye(n_in, dtype=first.dtype, device=first.device)
    probes[n_in + 1] = -1.5
    switch_mode(learner.model, False)
    with torch.no_grad():
        output, _ = learner.forward(
            Split(
                inputs=(probes.reshape(-1, *shape),),
                targets=(torch.zeros(n_in + 2, *data.train.targets[0].shape[1:]).to(probes),),
            )
        )
    switch_mode(learner.model, True)
    flat = first_tensor(output).flatten(1).double()
    bias = flat[0]
    weight = flat[1 : n_in + 1] - bias
    expected = bias - 1.5 * weight.sum(0)
    if not torch.allclose(flat[n_in + 1], expected, rtol=1e-3, atol=1e-3):
        return None
    errors = torch.cat(((weight - facts.weight).flatten().abs(), (bias - facts.bias).abs()))
    return Recovered(
        weight=weight.tolist(),
        bias=bias.tolist(),
        true_weight=facts.weight.double().tolist(),
        true_bias=facts.bias.double().tolist(),
        largest_error=float(errors.max()),
    )

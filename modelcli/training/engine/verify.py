"""Whether two ways to take a step change the same things by the same amounts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modelcli.modules import buffers_of, parameters_of
from modelcli.training.engine.step import Learner

LOSS_TOLERANCE = 1e-3  # relative; operations that add up in no fixed order differ at the end
STATE_TOLERANCE = 0.05  # of the size of a change
UPDATE_TOLERANCE = 0.5  # Adam turns a gradient that is all rounding into a whole step

Groups = list[list[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """All that a step changes, as it was.

    Attributes:
        tensors: the weights, then the buffers, then each kind of the optimiser's state.
        copies: what they held.
        random_state: of the device's generator.
    """

    tensors: Groups
    copies: Groups
    random_state: Tensor

    def read_now(self) -> Groups:
        """Return copies of what the tensors hold now."""
        return [[tensor.detach().clone() for tensor in group] for group in self.tensors]


def copy_state(learner: Learner) -> StepState:
    """Return copies of all that a step changes."""
    model, states = learner.model, list(learner.optimizer.state.values())
    groups: Groups = [list(parameters_of(model)), list(buffers_of(model))]
    for key in sorted({key for state in states for key in state}):
        values = [state[key] for state in states if key in state]
        groups.append([value for value in values if isinstance(value, Tensor)])
    copies = [[tensor.detach().clone() for tensor in group] for group in groups]
    return StepState(tensors=groups, copies=copies, random_state=_random_state(learner.device))


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def restore_state(learner: Learner, saved: StepState) -> None:
    """Put everything back to what it was."""
    with torch.no_grad():
        for group, copies in zip(saved.tensors, saved.copies, strict=True):
            for tensor, copy in zip(group, copies, strict=True):
                tensor.copy_(copy)
    if learner.device.type == "cuda":
        torch.cuda.set_rng_state(saved.random_state, learner.device)
    else:
        torch.set_rng_state(saved.random_state)


def compare_steps(loss: Tensor, expected_loss: Tensor, before: StepState, expected: Groups) -> str:
    """Return how a step that was just taken differs from what another made of the same state.

    Changes are compared, not values: a step that changes nothing is close to every weight. NaN
    where both have it is left to the loop, which finds it in the loss.

    Args:
        before: the state that both began with; its tensors hold what the step has made.
        expected: what they held after the other step.

    Returns:
        "" where they do not differ.
    """
    got, wanted = float(loss), float(expected_loss)
    if not _close(abs(got - wanted), LOSS_TOLERANCE * abs(wanted) + 1e-6, abs(wanted)):
        return f"the loss is {got:.6g}, not {wanted:.6g}"
    names = ("the weights", "the buffers")
    for number, (made, old, other) in enumerate(
        zip(before.tensors, before.copies, expected, strict=True)
    ):
        apart = _distance(made, other)
        change = _distance(old, other)
        kinds = [each.dtype if each.is_floating_point() else torch.float32 for each in made]
        rounding = max((torch.finfo(kind).eps for kind in kinds), default=0.0)
        share = UPDATE_TOLERANCE if number == 0 else STATE_TOLERANCE
        if not _close(apart, share * change + 4 * rounding * _distance(old), change):
            what = names[number] if number < len(names) else "the optimiser's state"
            return f"{what} should change by {change:.2g}, and are {apart:.2g} away from that"
    return ""


def _close(apart: float, most: float, size: float) -> bool:
    return apart <= most or (math.isnan(apart) and math.isnan(size))


def _distance(ones: Sequence[Tensor], others: Sequence[Tensor] | None = None) -> float:
    """Return the norm of all differences together; without others, of the values."""
    pairs = zip(ones, others if others is not None else [torch.zeros(())] * len(ones), strict=True)
    norms = [
        torch.linalg.vector_norm(one.detach().double() - other.to(one.device).detach().double())
        for one, other in pairs
    ]
    return float(torch.stack([norm.cpu() for norm in norms]).norm()) if norms else 0.0

"""Gradients before and after the backward pass, and what a second pass adds without zeroing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from modelcli.errors import RunFailedError
from modelcli.identity import ParameterGroup, parameter_groups
from modelcli.running.record import GradRow, TensorRecord
from modelcli.running.tensors import record_tensor


def run_backward(
    model: nn.Module, compute_loss: Callable[[], Tensor], first: Tensor, *, passes: int = 1
) -> tuple[GradRow, ...]:
    """Run backward passes without zeroing between them, and record every parameter's gradient.

    Args:
        model: of our own; its gradients are filled.
        compute_loss: runs the forward pass again, for the second pass and later ones.
        first: the loss of the forward pass that already ran.
        passes: how many backward passes.

    Raises:
        RunFailedError: nothing in the loss depends on a parameter that wants a gradient.
    """
    if not first.requires_grad:
        raise RunFailedError(
            "the loss depends on no parameter that wants a gradient",
            "'modelcli check' names the cause: frozen, detached or unused parameters",
        )
    groups = parameter_groups(model)
    before = [_gradient(group) for group in groups]
    first.backward()  # type: ignore[no-untyped-call]
    after = [_gradient(group) for group in groups]
    for _ in range(passes - 1):
        compute_loss().backward()  # type: ignore[no-untyped-call]
    several = passes > 1
    total = [_gradient(group) if several else None for group in groups]
    zeroed = _zeroed(groups, compute_loss) if several else [None] * len(groups)
    return tuple(
        GradRow(
            names=group.names,
            shape=tuple(group.parameter.shape),
            before=old,
            after=new,
            accumulated=added,
            zeroed=alone,
        )
        for group, old, new, added, alone in zip(groups, before, after, total, zeroed, strict=True)
    )


def _zeroed(
    groups: Sequence[ParameterGroup], compute_loss: Callable[[], Tensor]
) -> list[TensorRecord | None]:
    """Return the gradients of one more pass after zeroing; those that were summed come back."""
    parameters = [parameter for group in groups for parameter in group.parameters]
    kept = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    compute_loss().backward()  # type: ignore[no-untyped-call]
    alone = [_gradient(group) for group in groups]
    for parameter, grad in zip(parameters, kept, strict=True):
        parameter.grad = grad
    return alone


def _gradient(group: ParameterGroup) -> TensorRecord | None:
    """Return the gradient of a parameter; of a tie by storage, the sum of its objects' ones."""
    held = [parameter.grad for parameter in group.parameters if parameter.grad is not None]
    if not held:
        return None
    total = held[0]
    for other in held[1:]:
        total = total + other
    return record_tensor(group.names[0], total)

"""What flows back from the outputs of a watched pass: gradients, and where they do not come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from modelcli.checks.observe.foreign import run_foreign
from modelcli.checks.observe.values import sum_of_outputs
from modelcli.modules import parameters_of

# For some output rows, the largest gradient at every sample.
Reach = dict[int, list[float]]


def measure_reach(
    output: torch.Tensor,
    leaves: list[torch.Tensor],
    *,
    axis: int,
    rows: Sequence[int],
    batch: int,
) -> Reach | None:
    """Return how strongly some rows of an output depend on every sample; None if on no leaf.

    Args:
        output: of a pass with gradients.
        leaves: the floating inputs, of ``batch`` samples along their first dimension.
        axis: along which the output's rows stand beside the samples.
        rows: which of them to follow.

    Raises:
        RuntimeError: autograd cannot go back through the model.
    """
    if output.dim() <= axis or not output.requires_grad or not leaves:
        return None
    found: Reach = {}
    for row in rows:
        if row >= output.shape[axis]:
            continue
        picked = output.select(axis, row)
        generator = torch.Generator().manual_seed(row)
        weights = torch.randn(picked.shape, generator=generator, dtype=output.dtype)
        gradients = torch.autograd.grad(
            (picked * weights).sum(), leaves, retain_graph=True, allow_unused=True
        )
        used = [g for g in gradients if g is not None and g.dim() and g.shape[0] == batch]
        used = [g for g in used if g.numel()]
        if not used:
            continue
        sizes = [torch.stack([g[s].abs().max() for g in used]).max() for s in range(batch)]
        found[row] = [float(value) for value in sizes]
    return found or None


def send_back(output: Any) -> RuntimeError | None:
    """Fill the gradients of all parameters from all outputs; return what the backward raised."""
    total = sum_of_outputs(output)
    if total is None:
        return None
    try:
        run_foreign(total.backward)
    except RuntimeError as error:  # NotImplementedError is one
        return error
    return None


def gradients_are_finite(model: nn.Module) -> bool:
    """Tell whether no gradient of a parameter is infinite or NaN."""
    return all(
        bool(torch.isfinite(p.grad).all()) for p in parameters_of(model) if p.grad is not None
    )

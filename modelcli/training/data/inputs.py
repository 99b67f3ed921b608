"""Random inputs of the kinds that a model takes."""

from __future__ import annotations

import torch

from modelcli.training.data.noise import draw_normal
from modelcli.training.data.tensors import SampleSpec, Tensors


def draw_inputs(specs: tuple[SampleSpec, ...], count: int, generator: torch.Generator) -> Tensors:
    """Return inputs of each kind: standard normal, or whole numbers below ``high``."""
    drawn = []
    for spec in specs:
        shape, device = (count, *spec.shape), generator.device
        if spec.dtype.is_floating_point:
            x = draw_normal(shape, generator).to(spec.dtype)
        else:
            x = torch.randint(spec.high, shape, generator=generator, device=device)
            x = x.to(spec.dtype)
        drawn.append(x)
    return tuple(drawn)

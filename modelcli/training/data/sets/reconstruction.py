"""``reconstruction``: give back the input, a mixture of a few fixed patterns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modelcli.errors import UsageError
from modelcli.registry import Task
from modelcli.training.data.data_set import DataSet, Drawn, Wanted
from modelcli.training.data.noise import draw_normal
from modelcli.training.data.tensors import DataFacts, Split, new_generator

PATTERNS = 8  # independent patterns of which a sample is made


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """A sample is a random mixture of a few fixed smooth patterns; the target is the sample.

    Attributes:
        patterns: (PATTERNS, *shape).
    """

    patterns: Tensor
    noise: float

    def __call__(self, count: int, generator: torch.Generator) -> Split:
        """Return ``count`` samples whose values have a variance of about 1."""
        mixture = draw_normal((count, len(self.patterns)), generator)
        x = (mixture @ self.patterns.flatten(1)).reshape(-1, *self.patterns.shape[1:])
        if self.noise:
            x = x + self.noise * draw_normal(tuple(x.shape), generator)
        inputs = (x,)
        return Split(inputs=inputs, targets=inputs)


def make(wanted: Wanted) -> Drawn:
    """Return the task of giving back the input.

    Raises:
        UsageError: the model's output is not like its input.
    """
    spec, out_shape = wanted.float_input(), wanted.output_row()
    if out_shape != spec.shape:
        raise UsageError(
            f"reconstruction needs an output like the input {spec.shape}, and "
            f"'{wanted.trained.source.label}' gives {out_shape}",
            "use --data teacher, which takes any output",
        )
    patterns = _smooth(spec.shape, new_generator(wanted.device, wanted.seed, 0))
    task = Patterns(patterns=patterns / math.sqrt(PATTERNS), noise=wanted.noise)
    facts = DataFacts(description=f"mixtures of {PATTERNS} fixed patterns; the target is the input")
    return Drawn(draw=task, facts=facts)


def _smooth(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return patterns of unit variance (PATTERNS, *shape), smooth where they are images."""
    device = generator.device
    if len(shape) < 3:
        return torch.randn((PATTERNS, *shape), generator=generator, device=device)
    coarse = (PATTERNS, shape[0], *(max(2, size // 8) for size in shape[1:]))
    noise = torch.randn(coarse, generator=generator, device=device)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}.get(len(shape) - 1, "nearest")
    smooth = nn.functional.interpolate(noise, size=shape[1:], mode=mode)
    return smooth / smooth.std()


DATA = DataSet(make=make, task=Task.RECONSTRUCTION, noise=0.0)

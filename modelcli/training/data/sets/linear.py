"""``linear``: recover a linear map from noisy results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modelcli.errors import UsageError
from modelcli.modules import parameters_of
from modelcli.registry import Task
from modelcli.training.data.data_set import PROBED_SAMPLES, DataSet, Drawn, Wanted
from modelcli.training.data.noise import draw_normal
from modelcli.training.data.tensors import DataFacts, SampleSpec, Split, Tensors, new_generator
from modelcli.training.run.model import TrainedModel, run_quietly


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearMap:
    """y = x W + b + noise, with x from a standard normal distribution.

    Attributes:
        weight: (in, out), in being all values of an input.
        bias: (out,).
        in_shape: shape of one input.
        out_shape: shape of one output.
    """

    weight: Tensor
    bias: Tensor
    noise: float
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]

    def __call__(self, count: int, generator: torch.Generator) -> Split:
        """Return ``count`` samples."""
        x = draw_normal((count, *self.in_shape), generator)
        y = self._map(x)
        if self.noise:
            y = y + self.noise * draw_normal(tuple(y.shape), generator)
        return Split(inputs=(x,), targets=(y,))

    def _map(self, x: Tensor) -> Tensor:
        flat = x.flatten(1).to(self.weight.dtype) @ self.weight + self.bias
        return flat.reshape(-1, *self.out_shape)

    def clean(self, split: Split) -> Tensors:
        """Return the targets without their noise."""
        return (self._map(split.inputs[0]).to(split.targets[0].dtype),)


def make_linear(
    spec: SampleSpec,
    out_shape: tuple[int, ...],
    *,
    weight: Any,
    bias: Any,
    noise: float,
    device: torch.device,
    seed: int,
    has_bias: bool = True,
) -> tuple[LinearMap, DataFacts]:
    """Return the task of recovering a linear map.

    Raises:
        UsageError: the given weights or bias have the wrong number of values.
    """
    generator = new_generator(device, seed, 0)
    n_in, n_out = math.prod(spec.shape), math.prod(out_shape)
    true_weight = _given(weight, (n_in, n_out), "data.weight", device)
    if true_weight is None:
        # divided by the root of n_in, so that the outputs have a variance of about 1
        drawn = torch.randn((n_in, n_out), generator=generator, device=device)
        true_weight = drawn / math.sqrt(n_in)
    true_bias = _given(bias, (n_out,), "data.bias", device)
    if true_bias is None and not has_bias:
        true_bias = torch.zeros((n_out,), device=device)
    if true_bias is None:
        true_bias = torch.randn((n_out,), generator=generator, device=device)
    task = LinearMap(
        weight=true_weight, bias=true_bias, noise=noise, in_shape=spec.shape, out_shape=out_shape
    )
    plus = " + b" if bool(true_bias.any()) else ""
    facts = DataFacts(
        description=f"y = x W{plus} + noise of {noise:g}, {n_in} values to {n_out}",
        clean=task.clean,
        weight=true_weight,
        bias=true_bias,
    )
    return task, facts


def _given(value: Any, shape: tuple[int, ...], key: str, device: torch.device) -> Tensor | None:
    if value is None:
        return None
    try:
        tensor = torch.tensor(value, dtype=torch.float32, device=device)
    except (TypeError, ValueError):  # rows of unequal length
        raise UsageError(f"{key} is no array of numbers", f"it needs the shape {shape}") from None
    if tensor.numel() != math.prod(shape):
        raise UsageError(
            f"{key} has {tensor.numel()} values, and this model needs {math.prod(shape)}",
            f"its shape is {shape}, input values by output values",
        )
    return tensor.reshape(shape)


def make(wanted: Wanted) -> Drawn:
    """Return the task for a model of any sizes, with the weights of the configuration."""
    task, facts = make_linear(
        wanted.float_input(),
        wanted.output_row(),
        weight=wanted.config.data.weight,
        bias=wanted.config.data.bias,
        noise=wanted.noise,
        device=wanted.device,
        seed=wanted.seed,
        has_bias=not _passes_through_zero(wanted.trained, wanted.device),
    )
    return Drawn(draw=task, facts=facts)


def _passes_through_zero(trained: TrainedModel, device: torch.device) -> bool:
    """Tell whether a model gives zeros for zeros whatever its weights are: it can have no bias."""
    zeros = tuple(
        torch.zeros((PROBED_SAMPLES, *spec.shape), dtype=spec.dtype, device=device)
        for spec in trained.specs
    )
    params = [each for each in parameters_of(trained.model) if each.is_floating_point()]
    before = [each.detach().clone() for each in params]
    generator = new_generator(device, 0, 10)
    try:
        with torch.no_grad():
            for each in params:
                moved = torch.rand(each.shape, generator=generator, device=device)
                each.add_(moved.to(each.dtype))
        return not any(bool(output.any()) for output in run_quietly(trained, zeros))
    except Exception:  # the pass was only to find out more
        return False
    finally:
        with torch.no_grad():
            for each, value in zip(params, before, strict=True):
                each.copy_(value)


DATA = DataSet(make=make, task=Task.REGRESSION, noise=0.1, keys=("data.weight", "data.bias"))

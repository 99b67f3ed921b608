"""Synthetic tasks that can be learned, and of which the best possible result is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.errors import UsageError
from modelcli.training.data.tensors import DataFacts, SampleSpec, Split, Tensors, new_generator

PATTERNS = 8  # independent patterns of which a sample to reconstruct is made


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototypes:
    """Class c is a fixed random prototype; a sample is its prototype plus noise.

    Attributes:
        prototypes: (classes, *shape).
        noise: standard deviation of every value's noise.
    """

    prototypes: Tensor
    noise: float

    def __call__(self, count: int, generator: torch.Generator) -> Split:
        """Return ``count`` samples of classes as equally often as can be."""
        device = self.prototypes.device
        classes = len(self.prototypes)
        first = torch.randint(classes, (1,), generator=generator, device=device)
        labels = (torch.arange(count, device=device) + first) % classes
        x = self.prototypes.index_select(0, labels)
        if self.noise:
            noise = torch.randn(x.shape, generator=generator, device=device)
            x.add_(noise, alpha=self.noise)
        return Split(inputs=(x,), targets=(labels,))

    def best_accuracy(self, split: Split) -> float:
        """Return the share that the nearest prototype gets right.

        No classifier does better on average: the classes are equally likely and the noise is the
        same in every direction, so the likeliest class is the one of the nearest prototype.
        """
        x, labels = split.inputs[0].flatten(1), split.targets[0]
        nearest = torch.cdist(x.float(), self.prototypes.flatten(1)).argmin(1)
        return float((nearest == labels).float().mean())


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
        device = self.weight.device
        x = torch.randn((count, *self.in_shape), generator=generator, device=device)
        y = self._map(x)
        if self.noise:
            y = y + self.noise * torch.randn(y.shape, generator=generator, device=device)
        return Split(inputs=(x,), targets=(y,))

    def _map(self, x: Tensor) -> Tensor:
        flat = x.flatten(1).to(self.weight.dtype) @ self.weight + self.bias
        return flat.reshape(-1, *self.out_shape)

    def clean(self, split: Split) -> Tensors:
        """Return the targets without their noise."""
        return (self._map(split.inputs[0]).to(split.targets[0].dtype),)


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
        device = self.patterns.device
        many = len(self.patterns)
        mixture = torch.randn((count, many), generator=generator, device=device)
        x = (mixture @ self.patterns.flatten(1)).reshape(-1, *self.patterns.shape[1:])
        if self.noise:
            x = x + self.noise * torch.randn(x.shape, generator=generator, device=device)
        inputs = (x,)
        return Split(inputs=inputs, targets=inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """Targets are the standardised outputs of a second network of the same definition.

    Attributes:
        network: in evaluation mode, with its own weights.
        call: runs a model on inputs and returns its tensors.
        specs: the inputs to draw.
        shift: subtracted from each output.
        scale: divides each output.
        batch_size: most samples that it is asked about at once.
    """

    network: nn.Module
    call: Callable[[nn.Module, Tensors], Tensors]
    specs: tuple[SampleSpec, ...]
    shift: Tensors
    scale: Tensors
    batch_size: int

    def __call__(self, count: int, generator: torch.Generator) -> Split:
        """Return ``count`` samples."""
        inputs = draw_inputs(self.specs, count, generator)
        parts = zip(*(torch.split(each, self.batch_size) for each in inputs), strict=True)
        targets = zip(*(self.targets(part) for part in parts), strict=True)
        return Split(inputs=inputs, targets=tuple(torch.cat(each) for each in targets))

    def targets(self, inputs: Tensors) -> Tensors:
        """Return the standardised outputs for a batch of inputs."""
        with torch.no_grad():
            outputs = self.call(self.network, inputs)
        return tuple(
            (output - shift) / scale
            for output, shift, scale in zip(outputs, self.shift, self.scale, strict=True)
        )


def draw_inputs(specs: tuple[SampleSpec, ...], count: int, generator: torch.Generator) -> Tensors:
    """Return inputs of each kind: standard normal, or whole numbers below ``high``."""
    drawn = []
    for spec in specs:
        shape, device = (count, *spec.shape), generator.device
        if spec.dtype.is_floating_point:
            x = torch.randn(shape, generator=generator, device=device).to(spec.dtype)
        else:
            x = torch.randint(spec.high, shape, generator=generator, device=device)
            x = x.to(spec.dtype)
        drawn.append(x)
    return tuple(drawn)


def make_prototypes(
    spec: SampleSpec, *, classes: int, noise: float, device: torch.device, seed: int
) -> tuple[Prototypes, DataFacts]:
    """Return the task of telling ``classes`` prototypes apart."""
    generator = new_generator(device, seed, 0)
    shape = (classes, *spec.shape)
    prototypes = torch.randn(shape, generator=generator, device=device)
    facts = DataFacts(
        description=f"{classes} classes, each a random prototype plus noise of {noise:g}",
        classes=classes,
    )
    return Prototypes(prototypes=prototypes, noise=noise), facts


def make_linear(
    spec: SampleSpec,
    out_shape: tuple[int, ...],
    *,
    weight: Any,
    bias: Any,
    noise: float,
    device: torch.device,
    seed: int,
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
    if true_bias is None:
        true_bias = torch.randn((n_out,), generator=generator, device=device)
    task = LinearMap(
        weight=true_weight, bias=true_bias, noise=noise, in_shape=spec.shape, out_shape=out_shape
    )
    facts = DataFacts(
        description=f"y = x W + b + noise of {noise:g}, {n_in} values to {n_out}",
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


def make_patterns(
    spec: SampleSpec, *, noise: float, device: torch.device, seed: int
) -> tuple[Patterns, DataFacts]:
    """Return the task of giving back the input."""
    generator = new_generator(device, seed, 0)
    patterns = _smooth(spec.shape, generator) / math.sqrt(PATTERNS)
    facts = DataFacts(description=f"mixtures of {PATTERNS} fixed patterns; the target is the input")
    return Patterns(patterns=patterns, noise=noise), facts


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

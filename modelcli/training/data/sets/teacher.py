"""``teacher``: do what a second network of the same definition does; any model can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from modelcli.config import RunConfig
from modelcli.modules import parameters_of, set_mode
from modelcli.registry import Task
from modelcli.training.data.data_set import PROBED_SAMPLES, DataSet, Drawn, Wanted
from modelcli.training.data.inputs import draw_inputs
from modelcli.training.data.tensors import (
    DataFacts,
    SampleSpec,
    Split,
    Tensors,
    derive_seed,
    new_generator,
)
from modelcli.training.objective import float_tensors
from modelcli.training.run.model import TrainedModel, build_model


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


def make(wanted: Wanted) -> Drawn:
    """Return the task of imitating a second network."""
    trained = wanted.trained
    teacher = _teacher(wanted.config, trained, wanted.device)
    facts = DataFacts(description="the standardised outputs of a second network")
    if all(shape[:1] == (PROBED_SAMPLES,) for shape in trained.out_shapes):
        return Drawn(draw=teacher, facts=facts, dear=True)

    # rows of the output are not rows of the input, so targets go with whole batches
    def inputs_only(count: int, generator: torch.Generator) -> Split:
        return Split(inputs=draw_inputs(trained.specs, count, generator), targets=())

    return Drawn(draw=inputs_only, facts=facts, complete=teacher.targets)


def _teacher(config: RunConfig, trained: TrainedModel, device: torch.device) -> Teacher:
    seed = derive_seed(config.train.seed, 5)
    network = set_mode(build_model(trained.source, config, device, seed), False)
    for parameter in parameters_of(network):
        parameter.requires_grad_(False)
    call = trained.call

    def tensors(model: nn.Module, inputs: Tensors) -> Tensors:
        return float_tensors(call(model, inputs))

    shift, scale = _statistics(network, tensors, trained.specs, config, device)
    return Teacher(
        network=network,
        call=tensors,
        specs=trained.specs,
        shift=shift,
        scale=scale,
        batch_size=config.train.batch_size,
    )


def _statistics(
    network: nn.Module,
    call: Callable[[nn.Module, Tensors], Tensors],
    specs: tuple[SampleSpec, ...],
    config: RunConfig,
    device: torch.device,
) -> tuple[Tensors, Tensors]:
    """Return mean and standard deviation of each output, over everything but its features."""
    inputs = draw_inputs(specs, 256, new_generator(device, config.train.seed, 6))
    with torch.no_grad():
        outputs = [output.float() for output in call(network, inputs)]
    shift, scale = [], []
    for output in outputs:
        rows = output.flatten(0, -2) if output.dim() > 1 else output.reshape(-1, 1)
        deviation = rows.std(0, correction=0)
        shift.append(rows.mean(0))
        # a constant output has no deviation to divide by
        scale.append(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))
    return tuple(shift), tuple(scale)


DATA = DataSet(make=make, task=Task.OTHER)

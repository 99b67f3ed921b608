"""A plan for many devices: the step of training on meta, and the arithmetic of shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.errors import ModelcliError, RunFailedError, describe
from modelcli.identity import unique_tensors
from modelcli.isolation import isolated
from modelcli.ledger.batch import BatchLaw
from modelcli.ledger.devices import (
    DevicePlan,
    PlannedModel,
    activation_bytes,
    choices,
    computing_s,
    fit_of,
    movements,
    plan_ranks,
)
from modelcli.ledger.sharded import Unit, Weight
from modelcli.loading.example import ExampleInputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest
from modelcli.modules import buffers_of, named_parameters
from modelcli.observe import observe
from modelcli.planning.batches import Passes
from modelcli.planning.device_options import DeviceOptions
from modelcli.planning.memory import Subject
from modelcli.planning.optimizer import fused_on_meta
from modelcli.planning.options import MemoryOptions
from modelcli.planning.step import OnMeta
from modelcli.tracing.device_paths import device_paths
from modelcli.training.distributed.refusals import refuse_model, refuse_optimizer
from modelcli.training.distributed.units import Units, find_units
from modelcli.training.distributed.world import World


def plan_devices(
    source: Source,
    request: InputRequest,
    options: DeviceOptions,
    *,
    inputs: ExampleInputs | None = None,
) -> DevicePlan:
    """Tell what each rank of a run on many devices takes, and what the ranks tell each other.

    The model is built on meta, one step of training is observed there, and nothing is allocated.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        options: the layout, the cluster and the step.
        inputs: what to run on, in place of what the request or the model says.

    Raises:
        UsageError: the model or the optimiser cannot be cut, or inputs do not fit.
        RunFailedError: the step of training raised.
    """
    layout = options.layout
    if layout.parallel != "ddp" and options.step.optimizer is not None:
        refuse_optimizer(options.step.optimizer)
    with isolated(source.folder):
        subject = Subject(source, request, options.step, inputs)
    units = Units(paths=())
    if layout.parallel != "ddp" or options.compare:
        units = find_units(source, subject.model, subject.inputs)
    if layout.parallel != "ddp":
        refuse_model(subject.model, units.paths)
    remarks = list(subject.inputs.remarks)
    if units.reason:
        remarks.append(f"the model is one block: {units.reason}")
    activations = _Activations(subject, options.step)
    model = PlannedModel(
        units=_units(subject.model, units.paths, _states(subject, options.step)),
        buffer_bytes=sum(each.nbytes for each in unique_tensors(buffers_of(subject.model))),
        activation_bytes=activations,
        samples=lambda world: _samples(world, options.batch_size),
        forward_flops=_forward_flops(source, request, inputs),
    )
    rows = tuple(plan_ranks(model, layout))
    largest = max(row.peak_bytes for row in rows)
    return DevicePlan(
        layout=layout,
        cluster=options.cluster,
        batch_size=options.batch_size,
        units=units.paths if layout.parallel != "ddp" else (),
        rows=rows,
        traffic=movements(model, layout, options.cluster),
        computing_s=computing_s(model, max(row.samples for row in rows), options.cluster),
        fit=fit_of(largest, options.cluster),
        inputs=subject.inputs.records,
        dtype=options.step.dtype,
        optimizer=options.step.optimizer.name if options.step.optimizer is not None else "none",
        loss=activations.loss,
        choices=choices(model, layout, options.batch_size, options.cluster)
        if options.compare
        else (),
        remarks=tuple(remarks),
    )


@dataclass(slots=True)
class _Activations:
    """Tells what is alive beside weights, gradients and state with a number of samples."""

    subject: Subject
    options: MemoryOptions
    loss: str = ""
    known: dict[int, int] = field(default_factory=dict)
    law: BatchLaw | str | None = None

    def __call__(self, samples: int) -> int:
        if samples not in self.known:
            self.known[samples] = self._find(samples)
        return self.known[samples]

    def _find(self, samples: int) -> int:
        if self.law is None:
            options = replace(self.options, mode="train")
            self.law = Passes(options, self.subject.inference_pass, self._train).law()
        if isinstance(self.law, BatchLaw):
            ledger = self.law.at(samples)
        else:
            ledger = self._train(samples).ledger
        return activation_bytes(ledger, ledger.steps)

    def _train(self, batch: int | None) -> Any:
        recorded = self.subject.training_pass(batch)
        self.loss = recorded.loss
        failure = recorded.ledger.failure
        if failure is not None:
            where = f" in '{failure.path}'" if failure.path else ""
            raise RunFailedError(
                f"the step failed{where}: {failure.type}: {failure.message}",
                "'modelcli memory' shows how far it came",
            )
        return recorded


def _samples(world: int, batch_size: int) -> tuple[int, ...]:
    """Return how many samples of a batch each rank takes, as the ranks of ``train`` share it."""
    parts = (World(rank=rank, size=world).part(batch_size) for rank in range(world))
    return tuple(stop - first for first, stop in parts)


def _units(
    model: nn.Module, paths: Sequence[str], states: Mapping[str, tuple[tuple[int, ...], int]]
) -> tuple[Unit, ...]:
    """Return the blocks with their parameters, and the model itself with all others."""
    groups: dict[str, list[Weight]] = {path: [] for path in (*paths, "")}
    for name, parameter in named_parameters(model):
        path = next((path for path in paths if name.startswith(f"{path}.")), "")
        itemsizes, nbytes = states.get(name, ((), 0))
        groups[path].append(
            Weight(
                name=name,
                shape=tuple(parameter.shape),
                itemsize=parameter.element_size(),
                trainable=parameter.requires_grad,
                state_itemsizes=itemsizes,
                state_bytes=nbytes,
            )
        )
    return tuple(Unit(path=path, weights=tuple(found)) for path, found in groups.items())


def _states(subject: Subject, options: MemoryOptions) -> dict[str, tuple[tuple[int, ...], int]]:
    """Return what the optimiser keeps for each parameter, by one step on twins without storage.

    Returns:
        Element sizes of the tensors that have the parameter's shape, and the bytes of all others.
    """
    make = subject.make_optimizer()
    named = [(n, p) for n, p in named_parameters(subject.model) if p.requires_grad]
    if make is None or not named:
        return {}
    twins = [nn.Parameter(torch.empty_like(p, device="meta")) for _, p in named]
    for twin in twins:
        twin.grad = torch.empty_like(twin)
    try:
        with device_paths(subject.paths.device), fused_on_meta(), OnMeta():
            optimizer = make(twins)
            optimizer.step()
    except ModelcliError:
        raise
    except Exception as error:  # whatever an optimiser of another package raises
        raise RunFailedError(
            f"the optimizer '{options.optimizer.name if options.optimizer else ''}' takes no step "
            f"without storage: {describe(error)}",
            "try adamw or sgd",
        ) from error
    found = {}
    for (name, _), twin in zip(named, twins, strict=True):
        kept = [value for value in optimizer.state[twin].values() if isinstance(value, Tensor)]
        alike = tuple(v.element_size() for v in kept if v.shape == twin.shape)
        found[name] = (alike, sum(v.nbytes for v in kept if v.shape != twin.shape))
    return found


def _forward_flops(source: Source, request: InputRequest, inputs: ExampleInputs | None) -> float:
    """Return the floating point operations of a forward pass for one sample."""
    trace = observe(source, request, inputs=inputs)
    first = next((record.shape[0] for record in trace.inputs if record.shape), 1)
    return trace.totals.flops / max(first, 1)

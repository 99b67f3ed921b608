"""The data of a configuration: which set, how many samples, and whether they are fresh."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from modelcli.config import ARRAY_SUFFIXES, TEXT_SUFFIX, RunConfig
from modelcli.errors import UsageError
from modelcli.loading.device import DTYPES
from modelcli.registry import Task
from modelcli.training.data import text
from modelcli.training.data.data_set import DataSet, Drawn, Samples, Wanted
from modelcli.training.data.sets import all_sets, find_set
from modelcli.training.data.tensors import (
    CHUNK_BYTES,
    Data,
    Draw,
    Split,
    count_samples,
    new_generator,
)
from modelcli.training.run.model import TrainedModel


def build_data(config: RunConfig, trained: TrainedModel, device: torch.device) -> Data:
    """Make what the model is trained on.

    Raises:
        UsageError: the data does not fit the model, or has fewer samples than a batch.
    """
    name = name_data(config, trained.task)
    kind = _kind_of(name)
    _refuse_unused(name, kind, config)
    noise = kind.noise if kind is not None and config.data.noise is None else config.data.noise
    wanted = Wanted(name=name, config=config, trained=trained, device=device, noise=noise or 0.0)
    if kind is None:
        from modelcli.training.data.real import load_file

        made: Drawn | Samples | Data = load_file(wanted)
    else:
        made = kind.make(wanted)
    if isinstance(made, Data):
        return made
    if isinstance(made, Drawn):
        return _drawn(made, wanted)
    from modelcli.training.data.real import hold_out

    return hold_out(made, wanted)


def name_data(config: RunConfig, task: Task) -> str:
    """Return the data of a run; ``auto`` goes by what the model is for."""
    if config.data.name != "auto":
        return config.data.name
    return next(name for name, each in all_sets().items() if each.task is task)


def _kind_of(name: str) -> DataSet | None:
    """Return the data set of a name; None: a file of arrays."""
    if name.endswith(TEXT_SUFFIX):
        return text.DATA
    return None if name.endswith(ARRAY_SUFFIXES) else find_set(name)


def defaults_of(name: str) -> Callable[[TrainedModel], Mapping[str, object]] | None:
    """Return what gives the defaults of a data set that has its own."""
    kind = _kind_of(name)
    return kind.defaults if kind is not None else None


def _refuse_unused(name: str, kind: DataSet | None, config: RunConfig) -> None:
    """Refuse settings of another kind of data, which would be silently left out."""
    takes = kind.keys if kind is not None else ()
    given = {
        f"data.{key}": getattr(config.data, key)
        for key in ("weight", "bias", "order", "symbols", "context")
    }
    for key, value in given.items():
        if value is not None and key not in takes:
            users = [other for other, each in all_sets().items() if key in each.keys]
            raise _unused(key, name, users)
    if config.data.noise is not None and (kind is None or kind.noise is None):
        users = [other for other, each in all_sets().items() if each.noise is not None]
        raise _unused("data.noise", name, users)


def _unused(key: str, name: str, users: list[str]) -> UsageError:
    return UsageError(
        f"{key} is set, and the data '{name}' has none", f"it is for {', '.join(users)}"
    )


def _drawn(made: Drawn, wanted: Wanted) -> Data:
    config, device, specs = wanted.config, wanted.device, wanted.trained.specs
    seed, sample_bytes = config.train.seed, sum(spec.sample_bytes for spec in specs)
    fresh = wants_fresh(config)
    n_train, n_held = count_samples(
        0 if fresh else config.data.samples,
        validation=config.data.validation,
        wanted=wanted_samples(config),
        sample_bytes=sample_bytes,
        batch_size=config.train.batch_size,
        classes=0 if made.facts.language is not None else made.facts.classes,
    )
    draw = _cast(made.draw, DTYPES[config.train.dtype])
    train = draw(n_train, new_generator(device, seed, 1))
    held_out = draw(n_held, new_generator(device, seed, 2)) if n_held else None
    facts = made.facts
    if made.best_accuracy is not None:
        facts = replace(facts, best_accuracy=made.best_accuracy(held_out or train))
    if made.floor is not None:
        facts = replace(facts, floor=made.floor(held_out or train))
    return Data(
        name=wanted.name,
        kind=made.kind,
        train=train,
        held_out=held_out,
        facts=facts,
        draw=draw if fresh else None,
        together=1 if made.dear else max(1, CHUNK_BYTES // sample_bytes),
        complete=made.complete,
    )


def wants_fresh(config: RunConfig) -> bool:
    """Tell whether made-up data is drawn anew for every step.

    It is where a run has a number of steps and none of samples: nothing is then seen twice.
    """
    if config.train.overfit:
        return False
    if config.data.samples is None:
        return config.train.epochs is None
    return config.data.samples == 0


def wanted_samples(config: RunConfig) -> int | None:
    """Return how many samples a run of known length draws, None if it goes by epochs."""
    train = config.train
    if train.overfit:
        return train.batch_size
    return None if train.steps is None else train.steps * train.batch_size * train.accumulate


def _cast(task: Draw, dtype: torch.dtype) -> Draw:
    """Return a task whose floating-point tensors have the run's element type."""

    def draw(count: int, generator: torch.Generator) -> Split:
        split = task(count, generator)
        inputs = tuple(_as(tensor, dtype) for tensor in split.inputs)
        if split.targets is split.inputs:
            return Split(inputs=inputs, targets=inputs)
        return Split(inputs=inputs, targets=tuple(_as(each, dtype) for each in split.targets))

    return draw


def _as(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def total_steps(config: RunConfig, data: Data) -> int:
    """Return how many optimiser steps a run takes; the last pass is finished."""
    if config.train.steps is not None:
        return config.train.steps
    per_step = config.train.batch_size * config.train.accumulate
    return max(1, math.ceil(len(data.train) * (config.train.epochs or 1) / per_step))

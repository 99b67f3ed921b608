"""The context that a model of tokens is trained with, and the defaults of its run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from modelcli.config import TEXT_SUFFIX, TOKEN_DATA, RunConfig
from modelcli.errors import RunFailedError, UsageError
from modelcli.isolation import importable
from modelcli.registry import Task
from modelcli.training.data.tasks import defaults_of, name_data
from modelcli.training.data.tensors import Tensors, new_generator
from modelcli.training.run.model import TrainedModel, probed, run_quietly
from modelcli.training.run.token_model import TokenModel, most_positions, read_token_model, see


def with_tokens(trained: TrainedModel, config: RunConfig, device: torch.device) -> TrainedModel:
    """Return a model of tokens with the context it is trained with, and what its scores see.

    Any other model is returned as it is.

    Raises:
        UsageError: it does not take the context that was asked for.
    """
    named = config.data.name in TOKEN_DATA or config.data.name.endswith(TEXT_SUFFIX)
    spec = trained.source.spec
    by_itself = config.data.name == "auto" and (spec is None or spec.task is Task.LANGUAGE)
    if not named and not by_itself:
        return trained
    if _read_tokens(trained, named) is None:
        return trained
    with importable(trained.source.folder):  # a forward may import what lies beside it
        if config.data.context or not config.data.input:
            trained = _with_context(trained, config, device)
        return _seen(trained, device, named)


def _seen(trained: TrainedModel, device: torch.device, named: bool) -> TrainedModel:
    tokens = _read_tokens(trained, named)
    assert tokens is not None

    def call(inputs: Tensors) -> Tensor:
        return run_quietly(trained, inputs)[0]

    task, window = see(tokens, call, new_generator(device, 0))
    return replace(trained, tokens=replace(tokens, task=task, window=window))


def _read_tokens(trained: TrainedModel, insist: bool) -> TokenModel | None:
    return read_token_model(trained.model, trained.specs, trained.out_shapes[0], insist=insist)


def _with_context(trained: TrainedModel, config: RunConfig, device: torch.device) -> TrainedModel:
    asked, most = config.data.context, most_positions(trained.model)
    usual = 64 if config.data.name.endswith(TEXT_SUFFIX) else 16
    length = asked or min(usual, most or usual)
    label = trained.source.label
    if most is not None and length > most:
        raise UsageError(
            f"a context of {length} tokens is longer than the {most} positions of '{label}'",
            f"give --context {most} or less",
        )
    specs = tuple(replace(spec, shape=(length,)) for spec in trained.specs)
    try:
        return probed(replace(trained, specs=specs), device)
    except RunFailedError as error:
        if asked is None:  # it takes what it took before
            return trained
        own = trained.specs[0].shape[0]
        raise UsageError(
            f"'{label}' does not take a context of {length} tokens: {error.message}",
            f"leave out --context, which is then {own}, or give a shorter one",
        ) from error


def fill_defaults(config: RunConfig, trained: TrainedModel, given: Collection[str]) -> RunConfig:
    """Fill in what the data of a model wants and nothing sets.

    A run of fewer steps warms up for a tenth of them.
    """
    name = name_data(config, trained.task)
    wants = defaults_of(name)
    if wants is None:
        return config
    values = {key: value for key, value in wants(trained).items() if key not in given}
    if "train.epochs" in given:
        values.pop("train.steps", None)
    if config.optimizer.name.lower() not in ("adam", "adamw"):
        values.pop("optimizer.lr", None)
    for key, value in values.items():
        section, _, field = key.partition(".")
        config = replace(config, **{section: replace(getattr(config, section), **{field: value})})
    steps = config.train.steps
    if "schedule.warmup" in values and steps is not None:
        warmup = min(config.schedule.warmup, steps // 10)
        config = replace(config, schedule=replace(config.schedule, warmup=warmup))
    if trained.tokens is not None:
        config = replace(config, data=replace(config.data, context=trained.tokens.length))
    return config

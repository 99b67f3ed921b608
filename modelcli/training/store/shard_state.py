"""What a run keeps in a checkpoint of several processes, by the names of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.errors import UsageError
from modelcli.modules import named_parameters
from modelcli.training.run.prepare import Run
from modelcli.training.store.export import held_tensors
from modelcli.training.store.shards import read_keys, read_tensors
from modelcli.training.store.state import load_optimizer

_MODEL, _OPTIMIZER = "model/", "optim/"


def shard_tensors(run: Run) -> dict[str, Tensor]:
    """Return the tensors of a run by key: ``model/NAME``, and ``optim/NAME/WHAT`` of its updates.

    Names outlive another number of processes, where an optimiser's own numbers may not.
    """
    kept, _ = held_tensors(run.trained.model)
    found = {f"{_MODEL}{name}": tensor for name, tensor in kept.items()}
    for name, param in _trained(run):
        for what, value in run.learner.optimizer.state.get(param, {}).items():
            if isinstance(value, Tensor):
                found[f"{_OPTIMIZER}{name}/{what}"] = value
    return found


def shard_state(run: Run) -> dict[str, Any]:
    """Return the rest of an optimiser's state: settings of its groups, and what is no tensor."""
    scaler = run.learner.scaler
    optimizer = run.learner.optimizer
    return {
        "groups": optimizer.state_dict()["param_groups"],
        "plain": {
            name: {
                what: value
                for what, value in optimizer.state.get(param, {}).items()
                if not isinstance(value, Tensor)
            }
            for name, param in _trained(run)
        },
        "scaler": scaler.state_dict() if scaler is not None else None,
    }


def read_into(run: Run, folder: Path, state: Mapping[str, Any]) -> None:
    """Take a checkpoint into use, cut as the run is.

    Raises:
        UsageError: it is of another model.
        Exception: of any kind, it was tampered with.
    """
    saved = read_keys(folder)
    kept, _ = held_tensors(run.trained.model)
    into = {f"{_MODEL}{name}": tensor for name, tensor in kept.items()}
    _check_model(run, into, saved)
    states: dict[str, dict[str, Any]] = {}
    for name, param in _trained(run):
        states[name] = dict(state["plain"].get(name, {}))
        start = f"{_OPTIMIZER}{name}/"
        for key, (shape, dtype) in saved.items():
            if key.startswith(start):
                made = _like(param, shape, dtype)
                into[key] = states[name][key.removeprefix(start)] = made
    read_tensors(folder, into)
    numbered = {number: states[name] for number, (name, _) in enumerate(_trained(run))}
    load_optimizer(
        run.learner.optimizer,
        {
            "state": {number: values for number, values in numbered.items() if values},
            "param_groups": state["groups"],
        },
    )
    if run.learner.scaler is not None and state["scaler"] is not None:
        run.learner.scaler.load_state_dict(state["scaler"])


def _like(param: nn.Parameter, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return room for a value of a parameter's state: cut as that is, where it is as large."""
    if shape == tuple(param.shape) and shape:
        return torch.empty_like(param.detach(), dtype=dtype)
    return torch.empty(shape, dtype=dtype)


def _trained(run: Run) -> list[tuple[str, nn.Parameter]]:
    """Return the optimiser's parameters with their names, in its order."""
    names = {id(param): name for name, param in named_parameters(run.trained.model)}
    groups = run.learner.optimizer.param_groups
    return [(names[id(param)], param) for group in groups for param in group["params"]]


def _check_model(
    run: Run,
    tensors: Mapping[str, Tensor],
    saved: Mapping[str, tuple[tuple[int, ...], torch.dtype]],
) -> None:
    there = {key: shape for key, (shape, _) in saved.items() if key.startswith(_MODEL)}
    here = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    different = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
    if different:
        key = different[0]
        found, expected = there.get(key, "missing"), here.get(key, "missing")
        raise UsageError(
            f"the checkpoint does not fit '{run.config.model.target}': "
            f"'{key.removeprefix(_MODEL)}' is {found} there and {expected} here",
            "has the model's file changed since the run began?",
        )

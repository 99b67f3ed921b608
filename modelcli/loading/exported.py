"""Graphs of torch.export as models: what they were recorded with, and how they are called."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.fx
from torch import nn

from modelcli.loading.example import ExampleInputs, forward_parameters, from_specs
from modelcli.loading.nests import Nest
from modelcli.loading.types import InputSpec


def recorded_with(model: nn.Module) -> ExampleInputs | None:
    """Return the inputs that a graph was recorded with; None where it does not say them all."""
    if not isinstance(model, torch.fx.GraphModule):
        return None
    recorded = [node.meta.get("val") for node in model.graph.nodes if node.op == "placeholder"]
    names = list(forward_parameters(model))
    if not names or len(names) != len(recorded):
        return None  # dicts and lists were taken apart
    specs = [
        InputSpec(
            name=name,
            shape=tuple(map(_number, value.shape)),
            dtype=str(value.dtype).removeprefix("torch."),
        )
        for name, value in zip(names, recorded, strict=True)
        if isinstance(value, torch.Tensor)
    ]
    if len(specs) < len(names):
        return None
    return from_specs(specs, model, origin="exported with")


def by_place(model: nn.Module, inputs: ExampleInputs) -> ExampleInputs:
    """Return inputs as a graph of torch.export is called: by keyword what was, and nothing else."""
    spec = model.__dict__.get("_in_spec") if isinstance(model, torch.fx.GraphModule) else None
    if spec is None:
        return inputs
    names = list(forward_parameters(model))
    given = {**dict(zip(names, inputs.args, strict=False)), **inputs.kwargs}
    places = names[: spec.child(0).num_children]
    args = tuple(_plain(given.pop(name)) for name in places if name in given)
    named = {name: _plain(value) for name, value in given.items()}
    return dataclasses.replace(inputs, args=args, kwargs=named)


def _plain(value: Any) -> Any:
    """Return a dict in place of what is more than one: a graph compares classes."""
    if isinstance(value, Nest):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if type(value) is list else value


def _number(size: Any) -> int:
    """Return a size; of one that may change, what it was."""
    return size if type(size) is int else int(size.node.hint or 1)

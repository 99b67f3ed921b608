"""What a model says of its own inputs: a method or an attribute, on its class or on itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from modelcli.errors import UsageError, describe
from modelcli.loading.build import unwrap
from modelcli.loading.example import ExampleInputs, example_from, forward_parameters, from_specs
from modelcli.loading.exported import recorded_with
from modelcli.loading.providers import inputs_from_providers
from modelcli.loading.source import Source
from modelcli.loading.types import InputSpec

_NAMES = ("example_inputs", "example_input_array")  # ours, and Lightning's


def inputs_by_convention(source: Source, model: nn.Module) -> ExampleInputs | None:
    """Return the inputs that a model, or the library that it is of, says it runs with.

    Args:
        model: what the source builds; only read.

    Raises:
        UsageError: the model's method fails, or gives what cannot go into a forward.
    """
    for name in _NAMES:
        value, origin = _said(source, model, name)
        if value is not None:
            return _inputs_of(value, model, name, origin)
    if source.convention is not None:
        found = source.convention(model)
        if found is not None:
            value, origin = found
            return _from_shapes(value, model, origin)
    return recorded_with(model) or inputs_from_providers(model)


def _said(source: Source, model: nn.Module, name: str) -> tuple[Any, str]:
    """Return what a name holds or returns, and the origin to print.

    A value is read from the instance that was given, whose ids still have their values.
    """
    try:
        value = _attribute(model, name)
        if callable(value) and not isinstance(value, torch.Tensor):
            return value(), f"{name}()"
        if value is not None and source.instance is not None:
            value = _attribute(unwrap(source.instance), name)
        return value, name
    except Exception as error:  # the user's code
        raise UsageError(
            f"{name}() of '{source.label}' failed: {describe(error)}",
            "correct it, or give the inputs with --input",
        ) from error


def _attribute(model: nn.Module, name: str) -> Any:
    """Return an attribute of a model or its class, past a ``__getattr__`` that answers anything."""
    for place in (vars(model), vars(model).get("_buffers") or {}):
        if name in place:
            return place[name]
    return getattr(model, name) if hasattr(type(model), name) else None


def _inputs_of(value: Any, model: nn.Module, name: str, origin: str) -> ExampleInputs:
    if isinstance(value, tuple) and value and all(type(size) is int for size in value):
        return from_specs([InputSpec(shape=value)], model, origin=origin)
    found = example_from(value, origin, forward_parameters(model))
    if found is None or not found.records:
        raise UsageError(
            f"{name} of {type(model).__name__} gives {type(value).__name__} with no tensor in it",
            "let it give a tensor, a tuple of positional inputs or a dict of named ones",
        )
    return found


def _from_shapes(value: Any, model: nn.Module, origin: str) -> ExampleInputs | None:
    if isinstance(value, InputSpec):
        value = (value,)
    if isinstance(value, tuple) and value and all(isinstance(v, InputSpec) for v in value):
        return from_specs(value, model, origin=origin)
    return example_from(value, origin)


def with_request(inputs: ExampleInputs, kwargs: Mapping[str, Any]) -> ExampleInputs:
    """Return the inputs with the plain values that a user gave beside them."""
    return dataclasses.replace(inputs, kwargs={**inputs.kwargs, **kwargs})

"""Inputs that a user has: in files, or made by a function of theirs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from modelcli.errors import UsageError, describe
from modelcli.loading.example import (
    ExampleInputs,
    example_from,
    forward_parameters,
    model_dtype,
)
from modelcli.loading.input_files import read_arrays
from modelcli.loading.python_code import find_object
from modelcli.loading.types import InputSpec
from modelcli.modules import modules_of
from modelcli.nested import tensors_in


def with_files(model: nn.Module, specs: Sequence[InputSpec]) -> list[InputSpec]:
    """Return specs in which every file is replaced by the tensors that it holds.

    Raises:
        UsageError: a file cannot be read, or ``forward`` takes none of its names.
        UnavailableError: the package that reads it is not installed.
    """
    found: list[InputSpec] = []
    for spec in specs:
        found += [spec] if spec.file is None else _tensors_of(model, spec.file, spec.name)
    return found


def _tensors_of(model: nn.Module, file: str, name: str | None) -> list[InputSpec]:
    arrays = read_arrays(file, _channels(model))
    parameters = forward_parameters(model)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if not arrays:
        raise UsageError(f"input file '{file}' holds no tensor", "is it the right one?")
    if name is None and all(key in parameters or open_ended for key in arrays):
        return [_spec(model, key, array) for key, array in arrays.items()]
    if len(arrays) == 1:
        return [_spec(model, name, array) for array in arrays.values()]
    if name is not None:
        return [_spec(model, f"{name}.{key}", array) for key, array in arrays.items()]
    raise UsageError(
        f"input file '{file}' holds {', '.join(arrays)}",
        f"forward takes {', '.join(parameters)}; NAME:{file} makes a dict of them",
    )


def _spec(model: nn.Module, name: str | None, array: Any) -> InputSpec:
    dtype = str(array.dtype)
    if dtype.startswith("float"):
        dtype = str(model_dtype(model))[6:]
    elif dtype.startswith(("int", "uint")) and dtype != "uint8":
        dtype = "int64"
    return InputSpec(shape=tuple(array.shape), name=name, dtype=dtype, values=array)


def _channels(model: nn.Module) -> int:
    first = next((m for m in modules_of(model) if isinstance(m, nn.Conv2d)), None)
    return int(first.in_channels) if first is not None else 3


def made_by(factory: str, model: nn.Module) -> ExampleInputs:
    """Return what a function of the user's makes: ``net.py:make_batch``.

    It is called without arguments, or with the model if it takes one.

    Raises:
        UsageError: it fails, or returns no tensors, or more than ``forward`` takes.
        TargetError: there is no such function.
    """
    found, _, _ = find_object(factory, again=False)
    try:
        value = found(*_wanted(found, model)) if callable(found) else found
    except Exception as error:  # the user's code
        raise UsageError(
            f"--input-from '{factory}' failed: {describe(error)}", "does it work in plain Python?"
        ) from error
    if not isinstance(value, (tuple, list, Mapping)):
        value = (value,)
    parameters = forward_parameters(model)
    inputs = example_from(value, "--input-from", parameters)
    if inputs is None or not any(True for _ in tensors_in(value)):
        raise UsageError(
            f"--input-from '{factory}' gives {type(value).__name__} with no tensor in it",
            "let it return a tensor, a tuple of positional inputs or a dict of named ones",
        )
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    most = sum(p.kind in by_place for p in parameters.values())
    is_open = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    if len(inputs.args) > most and parameters and not is_open:
        raise UsageError(
            f"--input-from '{factory}' gives {len(inputs.args)} inputs, and forward takes {most}",
            f"it takes {', '.join(parameters)}: return a tuple of those",
        )
    return inputs


def _wanted(function: Any, model: nn.Module) -> tuple[Any, ...]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    needed = [p for p in parameters if p.default is p.empty
              and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]  # fmt: skip
    return (model,) if len(needed) == 1 else ()

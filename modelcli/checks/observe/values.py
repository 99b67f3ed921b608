"""Inputs with values, for the passes that need them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from modelcli.loading.inputs import ExampleInputs, with_batch_size
from modelcli.nested import tensors_in

_MOST_IDS = 1000  # ids above carry no more information here


def with_values(
    inputs: ExampleInputs,
    model: nn.Module,
    *,
    batch_size: int,
    seed: int = 0,
    positive: bool = False,
) -> ExampleInputs:
    """Return inputs of a batch size in which every sample is different.

    Args:
        inputs: as found: floats on meta, ids real.
        model: tells how many rows its embeddings have.
        batch_size: of every tensor.
        seed: of the values; the global generator is not touched.
        positive: floats from [0, 1) instead of a standard normal.
    """
    generator = torch.Generator().manual_seed(seed)
    tables = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
    rows = min(tables, default=2)
    most = max(1, min(rows, _MOST_IDS))
    batch = with_batch_size(inputs, batch_size)

    def fill(value: Any, name: str) -> Any:
        if isinstance(value, torch.Tensor):
            return _values(value, name, generator, most, positive)
        if type(value) in (tuple, list):
            return type(value)(fill(item, name) for item in value)
        if type(value) is dict:
            return {key: fill(item, str(key)) for key, item in value.items()}
        return value

    return dataclasses.replace(
        batch,
        args=tuple(fill(arg, "") for arg in batch.args),
        kwargs={key: fill(value, key) for key, value in batch.kwargs.items()},
    )


def _values(
    tensor: torch.Tensor, name: str, generator: torch.Generator, most: int, positive: bool
) -> torch.Tensor:
    shape, dtype = tensor.shape, tensor.dtype
    if dtype.is_floating_point or dtype.is_complex:
        kind = torch.float32 if dtype.itemsize < 4 else dtype
        make: Any = torch.rand if positive else torch.randn
        made: torch.Tensor = make(shape, generator=generator, dtype=kind)
        return made.to(dtype)
    if "mask" in name or dtype is torch.bool:
        return torch.ones(shape, dtype=dtype)
    if tensor.is_meta or not name or name.endswith("input_ids"):
        return torch.randint(0, most, shape, generator=generator).to(dtype)
    return tensor.clone()


def map_tensors(inputs: ExampleInputs, change: Any) -> ExampleInputs:
    """Return inputs with every tensor replaced by ``change(tensor)``."""

    def walk(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return change(value)
        if type(value) in (tuple, list):
            return type(value)(walk(item) for item in value)
        if type(value) is dict:
            return {key: walk(item) for key, item in value.items()}
        return value

    return dataclasses.replace(
        inputs,
        args=tuple(walk(arg) for arg in inputs.args),
        kwargs={key: walk(value) for key, value in inputs.kwargs.items()},
    )


def input_tensors(inputs: ExampleInputs) -> list[torch.Tensor]:
    """Return all tensors of the inputs, in order."""
    return [*tensors_in(inputs.args), *tensors_in(dict(inputs.kwargs))]


def output_tensors(output: Any) -> list[torch.Tensor]:
    """Return the floating tensors of any output, each once; the main one first."""
    found: list[torch.Tensor] = []
    for tensor in _walk(output):
        known = any(tensor is each for each in found)
        if tensor.is_floating_point() and not known:
            found.append(tensor)
    return found


def _walk(value: Any, depth: int = 6) -> Iterator[torch.Tensor]:
    if not depth:
        return
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value, key=lambda key: str(key) not in ("out", "logits")):
            yield from _walk(value[key], depth - 1)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _walk(item, depth - 1)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for entry in dataclasses.fields(value):
            yield from _walk(getattr(value, entry.name, None), depth - 1)


def sum_of_outputs(output: Any, seed: int = 0) -> torch.Tensor | None:
    """Return a scalar that depends on every element of every output, each with its own weight."""
    generator = torch.Generator().manual_seed(seed)
    total: torch.Tensor | None = None
    for tensor in output_tensors(output):
        if not tensor.requires_grad:
            continue
        weights = torch.rand(tensor.shape, generator=generator) + 0.5
        signs = torch.randint(0, 2, tensor.shape, generator=generator) * 2 - 1
        part = (tensor.float() * (weights * signs)).sum() / max(1, tensor.numel()) ** 0.5
        total = part if total is None else total + part
    return total

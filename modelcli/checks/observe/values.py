"""Inputs with values, for the passes that need them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from modelcli.loading.example import ExampleInputs, with_batch_size
from modelcli.modules import modules_of
from modelcli.nested import map_named_tensors, named_tensors_in, tensors_in

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
    tables = [m.num_embeddings for m in modules_of(model) if isinstance(m, nn.Embedding)]
    rows = min(tables, default=2)
    most = max(1, min(rows, _MOST_IDS))
    batch = with_batch_size(inputs, batch_size)

    def fill(path: str, tensor: torch.Tensor) -> torch.Tensor:
        return _values(tensor, _name_in(path), generator, most, positive)

    return map_inputs(batch, fill)


def _name_in(path: str) -> str:
    """Return the last name in a path: ``mask`` of ``['x']['mask'][0]``, ``""`` of ``[0]``."""
    found = re.findall(r"\['(.*?)'\]|\.(\w+)", path)
    return "".join(found[-1]) if found else ""


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


def map_inputs(
    inputs: ExampleInputs, change: Callable[[str, torch.Tensor], torch.Tensor]
) -> ExampleInputs:
    """Return inputs with every tensor replaced by ``change(path, tensor)``."""
    return dataclasses.replace(
        inputs,
        args=map_named_tensors(inputs.args, change),
        kwargs=map_named_tensors(dict(inputs.kwargs), change),
    )


def copy_inputs(inputs: ExampleInputs) -> ExampleInputs:
    """Return inputs with the same values in tensors of their own."""
    return map_inputs(inputs, lambda _, tensor: tensor.clone())


def input_tensors(inputs: ExampleInputs) -> list[torch.Tensor]:
    """Return all tensors of the inputs, in order."""
    return [*tensors_in(inputs.args), *tensors_in(dict(inputs.kwargs))]


def output_tensors(output: Any) -> list[torch.Tensor]:
    """Return the floating tensors of any output, each once; the main one first.

    Complex ones come as pairs of floats, with a dimension of 2 behind the others.
    """
    return [
        torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
        for tensor in all_outputs(output)
        if tensor.is_floating_point() or tensor.is_complex()
    ]


def all_outputs(output: Any) -> list[torch.Tensor]:
    """Return every tensor of any output, each once: the main one first, floats before others."""

    def rank(item: tuple[str, torch.Tensor]) -> tuple[bool, bool]:
        path, tensor = item
        return not path.startswith(_MAIN), not (tensor.is_floating_point() or tensor.is_complex())

    named = sorted(named_tensors_in(output), key=rank)
    return list({id(tensor): tensor for _, tensor in named}.values())


_MAIN = ("['out']", "['logits']", ".out", ".logits")


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

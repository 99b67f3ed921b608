"""Normalisations worked out: what is subtracted, and by what is divided."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from modelcli.running.explain.text import Cell, Worked, bracketed, number, show_number, written_sum


def _batch_norm(
    cell: Cell,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Worked:
    channel = cell[1] % input.shape[1]
    plane = input[:, channel]
    if training or running_mean is None or running_var is None:
        mean, var = number(plane.mean()), number(plane.var(unbiased=False))
        source = f"of the batch, over {plane.numel()} values"
    else:
        mean, var = number(running_mean[channel]), number(running_var[channel])
        source = "kept from training (running_mean, running_var)"
    lines = [f"mean {show_number(mean)} and variance {show_number(var)} {source}"]
    return _normalised(
        lines, number(input[cell]), mean, var, eps, _at(weight, channel), _at(bias, channel)
    )


def _layer_norm(
    cell: Cell,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Worked:
    axes = len(normalized_shape)
    row = input[tuple(cell[:-axes])]
    mean, var = number(row.mean()), number(row.var(unbiased=False))
    lines = [
        f"mean {show_number(mean)} and variance {show_number(var)} of its {row.numel()} values"
    ]
    place = tuple(cell[-axes:])
    return _normalised(
        lines, number(input[cell]), mean, var, eps, _at(weight, place), _at(bias, place)
    )


def _at(tensor: Tensor | None, place: Any) -> float | None:
    return None if tensor is None else number(tensor[place])


def _normalised(
    lines: list[str],
    value: float,
    mean: float,
    var: float,
    eps: float,
    weight: float | None,
    bias: float | None,
) -> Worked:
    scale = math.sqrt(var + eps)
    normal = (value - mean) / scale
    lines.append(
        f"({show_number(value)} - {bracketed(mean)}) / sqrt({show_number(var)} + {eps:g}) "
        f"= {show_number(value - mean)} / {show_number(scale)} = {show_number(normal)}"
    )
    result = normal
    if weight is not None:
        result = normal * weight + (bias or 0.0)
        plus = f" + bias {bracketed(bias)}" if bias is not None else ""
        lines.append(f"times weight {bracketed(weight)}{plus} = {show_number(result)}")
    return Worked(tuple(lines), result)


def _softmax(
    cell: Cell, input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Worked | None:
    if dim is None:
        return None
    axis = dim % input.dim()
    index = tuple(slice(None) if i == axis else place for i, place in enumerate(cell))
    row = input[index].double()
    powers = [math.exp(value) for value in row.tolist()]
    total = sum(powers)
    value = number(input[cell])
    lines = [
        f"along axis {axis}, {len(powers)} values: exp of each, over the sum of them all",
        "sum  " + written_sum([f"e^{bracketed(v)}" for v in row.tolist()]) + f" = {total:.6g}",
        f"e^{bracketed(value)} / {total:.6g} = {math.exp(value):.6g} / {total:.6g}",
    ]
    return Worked(tuple(lines), math.exp(value) / total)


NORMS: dict[str, Callable[..., Worked | None]] = {
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "softmax": _softmax,
}

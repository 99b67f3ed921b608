"""Dense layers, activations and arithmetic worked out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from modelcli.running.explain.text import (
    Cell,
    Worked,
    bracketed,
    number,
    show_number,
    written_products,
)


def _linear(cell: Cell, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Worked:
    *lead, row = cell
    values = input[tuple(lead)]
    row %= weight.shape[0]
    products = values * weight[row]
    total = number(products.sum())
    offset = number(bias[row]) if bias is not None else 0.0
    lines = [
        f"row {row} of the weight times the input, {len(products)} products",
        written_products(values, weight[row]) + f" = {show_number(total)}",
    ]
    if bias is not None:
        lines.append(f"plus bias[{row}] {show_number(offset)}")
    return Worked(tuple(lines), total + offset)


def _elementwise(formula: str, compute: Callable[[float], float]) -> Callable[..., Worked]:
    def work(cell: Cell, input: Tensor, *_: Any, **__: Any) -> Worked:
        value = number(input[cell])
        shown = re.sub(r"\bx\b", bracketed(value), formula)
        return Worked((f"{formula} with x = {show_number(value)}: {shown}",), compute(value))

    return work


def _binary(symbol: str, compute: Callable[[float, float], float]) -> Callable[..., Worked]:
    def work(cell: Cell, input: Any, other: Any, *_: Any, **__: Any) -> Worked:
        shape = _broadcast(*(t.shape if isinstance(t, Tensor) else () for t in (input, other)))
        left, right = (_broadcast_at(value, shape, cell) for value in (input, other))
        line = f"{show_number(left)} {symbol} {bracketed(right)}"
        return Worked((line,), compute(left, right))

    return work


def _broadcast(*shapes: Sequence[int]) -> tuple[int, ...]:
    shape: tuple[int, ...] = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    return shape


def _broadcast_at(value: Any, shape: Sequence[int], cell: Cell) -> float:
    return number(value.expand(shape)[cell]) if isinstance(value, Tensor) else float(value)


def _embedding(cell: Cell, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Worked:
    *place, column = cell
    row = int(input[tuple(place)])
    return Worked((f"row {row} of the table, column {column}",), number(weight[row, column]))


def _matmul(cell: Cell, input: Tensor, other: Tensor) -> Worked | None:
    if input.dim() < 2 or other.dim() < 2:
        return None
    *lead, row, column = cell
    shape = _broadcast(input.shape[:-2], other.shape[:-2])
    left = input.expand(*shape, *input.shape[-2:])[tuple(lead)][row]
    right = other.expand(*shape, *other.shape[-2:])[tuple(lead)][:, column]
    total = number((left * right).sum())
    words = f"row {row} of the left times column {column} of the right, {len(left)} products"
    return Worked((words, written_products(left, right) + f" = {show_number(total)}"), total)


def _flatten(cell: Cell, input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Worked:
    first, last = start_dim % input.dim(), end_dim % input.dim()
    inner = []
    rest = cell[first]
    for size in reversed(input.shape[first : last + 1]):
        inner.append(rest % size)
        rest //= size
    place = (*cell[:first], *reversed(inner), *cell[first + 1 :])
    shown = ",".join(map(str, place))
    return Worked((f"it is the cell [{shown}] of the input",), number(input[place]))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))


SIMPLE: dict[str, Callable[..., Worked | None]] = {
    "linear": _linear,
    "matmul": _matmul,
    "bmm": _matmul,
    "embedding": _embedding,
    "flatten": _flatten,
    "relu": _elementwise("max(0, x)", lambda x: max(0.0, x)),
    "sigmoid": _elementwise("1 / (1 + e^-x)", _sigmoid),
    "tanh": _elementwise("tanh(x)", math.tanh),
    "gelu": _elementwise(
        "x * (1 + erf(x / sqrt(2))) / 2", lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2
    ),
    "silu": _elementwise("x / (1 + e^-x)", lambda x: x * _sigmoid(x)),
    "exp": _elementwise("e^x", math.exp),
    "add": _binary("+", lambda a, b: a + b),
    "sub": _binary("-", lambda a, b: a - b),
    "mul": _binary("*", lambda a, b: a * b),
    "div": _binary("/", lambda a, b: a / b),
    "truediv": _binary("/", lambda a, b: a / b),
}

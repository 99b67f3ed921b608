"""What a forward's questions and indices tell of an input's dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import fx

from modelcli.loading.inference.facts import Facts
from modelcli.loading.inference.patterns import axes_of
from modelcli.loading.inference.steps import Step


def name_of(node: fx.Node) -> str:
    """Return the own name of what a node calls: ``view``, ``getitem``, ``fc``."""
    target = node.target
    if isinstance(target, str):
        return target
    name = getattr(target, "__name__", "") or str(target)
    return name.split(".")[0] if is_custom(node) else name


def is_custom(node: fx.Node) -> bool:
    """Tell whether a node calls an operation that is not torch's own."""
    return isinstance(node.target, torch._ops.OpOverload) and not str(node.target).startswith(
        ("aten.", "prims.")
    )


def read_shape(facts: Facts, shape: fx.Node) -> None:
    """Read the rank off how a shape is taken apart."""
    picked: dict[int, fx.Node] = {}
    for user in shape.users:
        if name_of(user) == "getitem" and type(user.args[1]) is int:
            picked[user.args[1]] = user
    numbers = sorted(picked)
    if len(numbers) > 1 and numbers == list(range(len(numbers))):
        facts.rank = facts.rank or len(numbers)
    for number, user in picked.items():
        read_size(facts, number, user)


def read_size(facts: Facts, dim: int, size: fx.Node) -> None:
    """Note how many dimensions a question needs, and a size that is demanded."""
    if dim >= 0:
        facts.least_rank = max(facts.least_rank, dim + 1)
    demanded = compared_with(size)
    if demanded is not None and demanded > 1:
        facts.sizes[dim] = demanded


def compared_with(node: fx.Node) -> int | None:
    """Return the constant that a value is compared with for equality."""
    for user in node.users:
        if name_of(user) in ("eq", "ne"):
            other = [a for a in user.args if a is not node]
            if other and type(other[0]) is int:
                return other[0]
    return None


def index_steps(parts: Any) -> Iterator[Step]:
    """Yield what an index does to the dimensions."""
    if any(part is ... for part in parts):
        if any(type(part) is int or part is None for part in parts):
            yield Step("?")
        return
    place, picked = 0, []
    for part in parts:
        if type(part) is int:
            picked.append(place)
        place += part is not None
    if picked:
        yield Step("pick", tuple(picked))
    added = [n for n, part in enumerate(parts) if part is None]
    for at in added:
        yield Step("drop", (at,))


def read_columns(facts: Facts, start: fx.Node) -> None:
    """Note how many columns there are where an input is only ever used column by column."""
    columns: dict[int, set[int]] = {}
    for user in start.users:
        if name_of(user) in ("getattr", "size", "dim"):
            continue
        parts = user.args[1] if name_of(user) == "getitem" else None
        if not isinstance(parts, tuple) or type(parts[-1]) is not int:
            return
        if any(part != slice(None) for part in parts[:-1]):
            return
        columns.setdefault(len(parts) - 1, set()).add(parts[-1])
    for dim, picked in columns.items():
        if dim and len(columns) == 1 and len(picked) > 1 and picked == set(range(len(picked))):
            facts.sizes.setdefault(dim, len(picked))
            if any(reach.takes.below is not None for reach in facts.reaches):
                facts.rank = facts.rank or dim + 1  # columns of ids


def picked_dimension(user: fx.Node, index: fx.Node) -> int | None:
    """Return the dimension along which an operation picks by an index; None if unknown."""
    if name_of(user) in ("getitem", "__getitem__"):
        parts = user.args[1] if isinstance(user.args[1], (tuple, list)) else (user.args[1],)
        if index not in parts or any(part is None or part is ... for part in parts):
            return None
        return parts.index(index)
    dim = user.args[1] if len(user.args) > 1 else user.kwargs.get("dim")
    return dim if type(dim) is int else None


def read_pattern(facts: Facts, pattern: Any) -> None:
    """Read the rank off what einops is told: ``b c (h p) (w q) -> b (h w) (p q c)``."""
    if not isinstance(pattern, str) or "->" not in pattern:
        return
    facts.rank = facts.rank or len(axes_of(pattern.partition("->")[0]) or ()) or None


def read_step(facts: Facts, step: Step) -> None:
    """Note how many dimensions an operation needs."""
    if step.kind == "permute":
        facts.rank = facts.rank or len(step.at)
    elif step.kind in ("swap", "pick", "flatten"):
        most = max((at + 1 for at in step.at if isinstance(at, int) and at >= 0), default=0)
        facts.least_rank = max(facts.least_rank, most)

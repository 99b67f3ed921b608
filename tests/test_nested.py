"""The one walk over nested tensors: every kind of container, any depth, and nests in a circle."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
import torch

from modelcli import nested

Pair = namedtuple("Pair", "first second")


@dataclasses.dataclass(frozen=True)
class Boxes:
    boxes: Any


class Plain:
    def __init__(self, held: Any) -> None:
        self.held = held


class Slots:
    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


KINDS = [
    (lambda t: Slots(t), ".held"),
    (lambda t: Slots([Plain(t)]), ".held[0].held"),
    (lambda t: t, ""),
    (lambda t: [t], "[0]"),
    (lambda t: (1, t), "[1]"),
    (lambda t: OrderedDict(x=t), "['x']"),
    (lambda t: Pair(None, t), ".second"),
    (lambda t: Boxes(t), ".boxes"),
    (lambda t: Plain(t), ".held"),
    (lambda t: {"a": [Boxes((Plain(t),))]}, "['a'][0].boxes[0].held"),
]


@pytest.mark.parametrize(("make", "path"), KINDS)
def test_every_kind_is_walked_and_rebuilt(make: Any, path: str) -> None:
    tensor = torch.ones(2)
    value = make(tensor)
    assert [p for p, _ in nested.named_tensors_in(value)] == [path]
    assert next(nested.tensors_in(value)) is tensor
    doubled = nested.map_tensors(value, lambda t: t * 2)
    assert type(doubled) is type(value)
    assert [t.tolist() for t in nested.tensors_in(doubled)] == [[2.0, 2.0]]
    assert tensor.tolist() == [1.0, 1.0]


def test_a_nest_in_a_circle_is_entered_once() -> None:
    tensor = torch.ones(2)
    circle: list[Any] = [tensor]
    circle.append(circle)
    assert len(list(nested.tensors_in(circle))) == 1
    assert nested.map_tensors(circle, lambda t: t + 1)[0].tolist() == [2.0, 2.0]


def test_what_holds_no_tensor_stays_the_same_object() -> None:
    value = {"a": [1, "two", None]}
    assert nested.map_tensors(value, lambda t: t + 1) is value


def test_there_is_no_limit_of_depth() -> None:
    deep: Any = torch.ones(2)
    for _ in range(3000):
        deep = [deep]
    doubled = nested.map_tensors(deep, lambda t: t * 2)
    assert [t.tolist() for t in nested.tensors_in(doubled)] == [[2.0, 2.0]]
    assert [t.tolist() for t in nested.tensors_in(deep)] == [[1.0, 1.0]]


def test_what_the_change_raises_comes_out() -> None:
    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")

    for value in ((torch.ones(1),), [{"x": torch.ones(1)}]):
        with pytest.raises(ValueError, match="no"):
            nested.map_tensors(value, refuse)

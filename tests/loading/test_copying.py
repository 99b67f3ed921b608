"""Private copies: modules and tensors always, whatever else a model holds or its class says."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import random
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelcli
from modelcli.errors import RunFailedError
from modelcli.loading.copying import copy_to_cpu, copy_to_meta
from modelcli.loading.source import Source
from modelcli.modules import modules_of
from modelcli.observe import observe

X = torch.ones(2, 4)


class Small(nn.Module):
    """Has statistics that a pass in train mode would change."""

    thing: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.fc(x))


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


class RefusesCopies:
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("one of its kind")


HELD: dict[str, Callable[[], Any]] = {
    "lock": threading.Lock,
    "rlock": threading.RLock,
    "event": threading.Event,
    "thread": threading.Thread,
    "local": threading.local,
    "file": lambda: open(os.devnull, encoding="utf-8"),  # noqa: SIM115
    "stream": lambda: sys.__stdout__,
    "buffer": lambda: io.BytesIO(b"x").getbuffer(),
    "socket": socket.socket,
    "generator": lambda: (i for i in ()),
    "coroutine": lambda: _waits(),
    "module": lambda: sys,
    "frame": sys._getframe,
    "memoryview": lambda: memoryview(b"x"),
    "mmap": lambda: mmap.mmap(-1, 10),
    "weak reference": lambda: weakref.ref(Small),
    "lambda": lambda: lambda: 1,
    "a list of them": lambda: [threading.Lock(), {"deep": (threading.Lock(), (i for i in ()))}],
    "slots": lambda: Slotted(threading.Lock()),
    "its own refusal": RefusesCopies,
    "tensor with a graph": lambda: torch.ones(2, requires_grad=True) * 2,
}


async def _waits() -> None:
    """Wait for nothing."""


def close(thing: Any) -> None:
    with contextlib.suppress(AttributeError):
        if thing is not sys.__stdout__:
            thing.close()


def state(model: nn.Module) -> list[Any]:
    """Return what a pass over the module itself would change."""
    return [
        [m.training for m in modules_of(model)],
        [
            (name, id(t), t._version, t.tolist(), t.grad is None)
            for name, t in (
                *nn.Module.named_parameters(model),
                *nn.Module.named_buffers(model),
            )
        ],
    ]


@pytest.mark.parametrize("kind", HELD)
@pytest.mark.parametrize("place", ["model", "layer"])
def test_a_model_may_hold_what_cannot_be_copied(kind: str, place: str) -> None:
    model = Small()
    (model if place == "model" else model.fc).thing = thing = HELD[kind]()
    before = state(model)
    for copied in (copy_to_meta(model), copy_to_cpu(model)):
        assert not {id(m) for m in modules_of(copied)} & {id(m) for m in modules_of(model)}
        assert all(p.is_meta or p.equal(q) for p, q in _pairs(copied, model))
    for execution in ("meta", "real"):
        trace = observe(
            Source(label="m", instance=model), inputs=_inputs(), mode="train", execution=execution
        )
        assert (trace.failure, trace.totals.params, trace.totals.macs) == (None, 28, 32)
    assert state(model) == before
    close(thing)


def _pairs(one: nn.Module, other: nn.Module) -> Any:
    return zip(one.parameters(), other.parameters(), strict=True)


def _inputs() -> Any:
    from modelcli.loading.example import example_from

    return example_from((X,), "given")


def test_what_is_shared_is_named_and_every_layer_may_hold_its_own() -> None:
    model = nn.Sequential(*(Small() for _ in range(50)))
    for layer in model:
        layer.lock, layer.steps = threading.Lock(), (i for i in ())
    shared: list[str] = []
    copied: Any = copy_to_meta(model, shared=shared)
    assert sorted(shared) == ["generator", "lock"]
    assert copied[7].lock is model[7].lock
    trace = observe(Source(label="m", instance=model), inputs=_inputs())
    notes = [(a.execution, a.stage, a.reason) for a in trace.attempts]
    told = "'lock' cannot be copied, and is shared with the model that was given"
    assert ("copy", "note", told) in notes
    assert trace.execution == "meta"
    assert trace.remarks == ()


def test_a_generator_of_random_numbers_is_copied() -> None:
    class Draws(Small):
        def __init__(self) -> None:
            super().__init__()
            self.torch_numbers = torch.Generator().manual_seed(3)
            self.numbers = random.Random(3)

        def forward(self, x: Tensor) -> Tensor:
            torch.rand(3, generator=self.torch_numbers)
            self.numbers.random()
            return super().forward(x)

    model = Draws()
    before = (model.torch_numbers.get_state().tolist(), model.numbers.getstate())
    assert modelcli.summary(model, X).totals.macs == 32
    assert (model.torch_numbers.get_state().tolist(), model.numbers.getstate()) == before


class GivesItself(Small):
    def __deepcopy__(self, memo: Any) -> Any:
        return self


class GivesNothing(Small):
    def __deepcopy__(self, memo: Any) -> Any:
        return None


class Refuses(Small):
    def __deepcopy__(self, memo: Any) -> Any:
        raise AssertionError("cannot be copied")


class RefusesPickle(Small):
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("no pickle")


class RefusesState(Small):
    def __getstate__(self) -> Any:
        raise TypeError("no state")


class Frozen(Small):
    def __setattr__(self, name: str, value: Any) -> None:
        if "locked" in vars(self):
            raise AttributeError("frozen")
        super().__setattr__(name, value)

    def __init__(self) -> None:
        super().__init__()
        vars(self)["locked"] = True


class AnswersEverything(Small):
    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return self


class Delegates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Small()

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            return self._modules["inner"]
        return getattr(self.inner, name)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class WithSlots(Small):
    __slots__ = ("scale",)

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "scale", 2)

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


STUBBORN = [
    GivesItself, GivesNothing, Refuses, RefusesPickle, RefusesState, Frozen, AnswersEverything,
    Delegates, WithSlots,
]  # fmt: skip


@pytest.mark.parametrize("place", ["model", "layer", "attribute"])
@pytest.mark.parametrize("kind", STUBBORN)
def test_a_class_that_refuses_copies_is_copied_and_not_touched(kind: Any, place: str) -> None:
    inner = kind()
    model = inner if place == "model" else nn.Sequential(inner)
    if place == "attribute":
        model.also = [inner]
    before = state(model)
    for mode, backward in (("train", True), ("eval", False)):
        shown = modelcli.summary(model, X, mode=mode, backward=backward)
        assert (shown.failure, shown.totals.params, shown.totals.macs) == (None, 28, 32)
    for copied in (copy_to_cpu(model), copy_to_meta(model)):
        assert not {id(m) for m in modules_of(copied)} & {id(m) for m in modules_of(model)}
        if place == "attribute":
            assert copied.also[0] is copied[0]
    assert state(model) == before


def test_a_weak_reference_to_the_parent_points_into_the_copy() -> None:
    model = nn.Sequential(Small(), nn.Linear(4, 4))
    model[0].parent = weakref.proxy(model)
    model[1].up = [model]
    copied: Any = copy_to_cpu(model)
    assert vars(copied[0].parent) is vars(copied)
    assert copied[1].up[0] is copied
    shown = modelcli.summary(model, X)
    assert (shown.totals.params, shown.totals.macs) == (48, 64)
    assert [row.path for row in shown.rows if row.kind == "module"] == [
        "", "0", "0.fc", "0.norm", "1",
    ]  # fmt: skip


def test_modules_that_hold_each_other_are_refused() -> None:
    model = nn.Sequential(Small(), nn.Linear(4, 4))
    model[0].fc.parent = model[0]
    with pytest.raises(RunFailedError) as told:
        modelcli.summary(model, X)
    assert told.value.message == (
        "modules of 'Sequential' hold each other: '0.fc.parent' is '0' again"
    )
    assert "self.__dict__['parent'] = ..." in told.value.hint

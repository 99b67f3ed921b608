"""A batch that cannot fit is refused with the one that could, before it takes any memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modelcli.api.structure import given_inputs
from modelcli.errors import UsageError
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.timing.room import check_room, is_out_of_memory, out_of_memory
from modelcli.tracing.record import Trace


@pytest.fixture(scope="module")
def trace() -> Trace:
    source = Source(label="net", instance=nn.Linear(10, 10))
    x = torch.zeros(100, 10)
    return observe(source, inputs=given_inputs(x, {}, source))


def check(trace: Trace, free_bytes: int | None, *, training: bool = False) -> None:
    check_room(trace, label="net", batch_size=100, free_bytes=free_bytes, training=training)


def test_what_fits_passes(trace: Trace) -> None:
    check(trace, 440 + 8000)  # weights, then inputs and outputs
    check(trace, None)
    check(trace, 880 + 8000, training=True)


@pytest.mark.parametrize(
    ("free_bytes", "training", "fits"),
    [(440 + 7999, False, 99), (440 + 4000, False, 50), (880 + 7999, True, 99), (441, False, 1)],
)
def test_the_batch_that_could_fit_is_named(
    trace: Trace, free_bytes: int, training: bool, fits: int
) -> None:
    with pytest.raises(UsageError, match="a batch of 100 of 'net'") as told:
        check(trace, free_bytes, training=training)
    assert f"--batch-size {fits}" in told.value.hint


def test_weights_alone_may_be_too_much(trace: Trace) -> None:
    with pytest.raises(UsageError) as told:
        check(trace, 100)
    assert "--batch-size" not in told.value.hint


def test_what_ran_out_is_known_by_its_words() -> None:
    cause = RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried")
    wrapped = ValueError("a pass failed")
    wrapped.__cause__ = cause
    assert is_out_of_memory(wrapped)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("shape"))
    assert "--batch-size 32" in out_of_memory("net", 64).hint

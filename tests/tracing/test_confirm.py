"""A clean pass on meta is looked at once more with memory, where that is cheap."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.observe import observe
from modelcli.tracing.confirm import is_cheap
from modelcli.tracing.record import Trace


@torch.library.custom_op("confirmed::gemm", mutates_args=())
def gemm(a: Tensor, b: Tensor) -> Tensor:
    """A product whose kernel for meta compares no sizes."""
    return a @ b


@gemm.register_fake
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(a.shape[0], b.shape[1])


@torch.library.custom_op("confirmed::every_other", mutates_args=())
def every_other(a: Tensor) -> Tensor:
    """Half of the rows, of which the kernel for meta does not know."""
    return a[::2].clone()


@every_other.register_fake
def _(a: Tensor) -> Tensor:
    return torch.empty_like(a)


class Net(nn.Module):
    """A layer behind an operation of a package; it remembers what was done with it."""

    built = 0
    ran: list[str] = []  # noqa: RUF012  # of all that are built

    def __init__(self, operation: Callable[..., Any]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(16, 16))
        self.operation = operation
        Net.built += 1

    def forward(self, x: Tensor) -> Any:
        Net.ran.append(x.device.type)
        sys.stdout.write("a line of the model's own\n")
        return self.operation(x, self.w)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Net.built = 0
    Net.ran = []


def look(operation: Callable[..., Any], shape: tuple[int, ...], **options: Any) -> Trace:
    source = Source(label="net", construct=lambda: Net(operation))
    return observe(source, InputRequest(specs=(InputSpec(shape=shape),)), **options)


def test_what_a_lax_kernel_lets_pass_fails_in_torchs_words() -> None:
    trace = look(gemm, (3, 17))
    assert trace.failure is not None
    words = "mat1 and mat2 shapes cannot be multiplied (3x17 and 16x16)"
    assert trace.failure.message == words
    assert trace.execution == "real"
    assert trace.remarks == ("ran for real: torch refuses what meta lets pass",)


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (lambda x, w: (x @ w) & 1, "not implemented for 'Float'"),
        (lambda x, w: (x @ w).to(torch.complex64).clamp(min=0), "not supported for complex"),
    ],
)
def test_what_no_device_has_a_kernel_for_fails_too(
    operation: Callable[..., Any], words: str
) -> None:
    trace = look(operation, (3, 16))
    assert trace.failure is not None
    assert words in trace.failure.message
    assert trace.execution == "real"


def test_shapes_that_are_others_for_real_are_shown() -> None:
    trace = look(lambda x, w: every_other(x) @ w, (4, 16))
    assert (trace.execution, trace.output_shapes) == ("real", ((2, 16),))
    assert trace.totals.macs == 2 * 16 * 16
    assert trace.remarks == ("ran for real: meta gives other shapes",)


def test_a_sound_pass_stays_on_meta_and_builds_nothing_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trace = look(gemm, (3, 16))
    assert (trace.execution, trace.failure, trace.remarks) == ("meta", None, ())
    assert dict(trace.coverage.uncounted) == {"confirmed::gemm": 1}
    assert (Net.built, Net.ran) == (1, ["meta", "cpu"])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("a line of the model's own") == 1


def test_what_is_asked_of_meta_is_not_confirmed() -> None:
    assert look(gemm, (3, 17), execution="meta").failure is None
    assert Net.ran == ["meta"]


def test_a_failure_for_want_of_a_device_is_no_refusal() -> None:
    def operation(x: Tensor, w: Tensor) -> Tensor:
        if not x.is_meta:
            raise RuntimeError("No CUDA GPUs are available")
        return x @ w

    trace = look(operation, (3, 16))
    assert (trace.execution, trace.failure, trace.totals.macs) == ("meta", None, 3 * 256)


def test_values_without_a_meaning_are_no_refusal() -> None:
    def operation(x: Tensor, w: Tensor) -> Tensor:
        if not x.is_meta and w.std() == 0:
            raise RuntimeError("the weights are all alike")
        return x @ w

    trace = look(operation, (3, 16))
    assert (trace.execution, trace.failure, trace.totals.macs) == ("meta", None, 3 * 256)


@pytest.mark.parametrize(
    ("shape", "cheap"), [((2, 16), True), ((400_000, 16), False), ((1, 4_000_000, 16), False)]
)
def test_only_what_is_cheap_is_run_again(shape: tuple[int, ...], cheap: bool) -> None:
    trace = look(torch.matmul, shape)
    assert is_cheap(trace) is cheap
    assert Net.ran == (["meta", "cpu"] if cheap else ["meta"])


def test_half_precision_is_not_confirmed_on_a_cpu() -> None:
    source = Source(label="net", construct=lambda: Net(torch.matmul).half())
    trace = observe(source, InputRequest(specs=(InputSpec(shape=(2, 16)),)))
    assert trace.failure is None
    assert not is_cheap(trace)

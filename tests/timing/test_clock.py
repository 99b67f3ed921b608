"""Clocks of devices that are not here: events, streams and graphs of a made-up torch.cuda."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from modelcli.errors import UsageError
from modelcli.timing.clock import CpuClock, CudaClock, clock_for
from modelcli.timing.engines import captured
from modelcli.timing.instrument import Instrument
from modelcli.timing.naming import name_calls


class FakeCuda:
    """A device with one queue: its time goes on by what was launched, not by the processor's."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.log: list[str] = []
        self.made = 0
        self.capturing = False
        self.refuses = ""
        self.waited = False
        outer = self

        class Event:
            def __init__(self, enable_timing: bool = False) -> None:
                assert enable_timing
                outer.made += 1
                self.at_ms: float | None = None

            def record(self, stream: Any) -> None:
                assert stream == "stream of cuda:1"
                self.at_ms = outer.now_ms

            def synchronize(self) -> None:
                outer.waited = True

            def elapsed_time(self, other: Any) -> float:
                assert outer.waited, "read before the device has come so far"
                return other.at_ms - self.at_ms

        class Graph:
            def replay(self) -> None:
                outer.log.append("replay")

        class Stream:
            def __init__(self, device: Any) -> None:
                outer.log.append(f"stream on {device}")

            def wait_stream(self, other: Any) -> None:
                outer.log.append("side waits")

        self.Event, self.CUDAGraph, self.Stream = Event, Graph, Stream

    def launch(self, milliseconds: float) -> None:
        self.now_ms += milliseconds

    def current_stream(self, device: Any) -> Any:
        if device == "cuda:1":
            return "stream of cuda:1"
        outer = self

        class Main:
            def wait_stream(self, other: Any) -> None:
                outer.log.append("main waits")

        return Main()

    def _sleep(self, cycles: int) -> None:
        self.log.append(f"sleep {cycles}")

    @contextlib.contextmanager
    def stream(self, _stream: Any) -> Iterator[None]:
        self.log.append("beside")
        yield

    @contextlib.contextmanager
    def graph(self, _graph: Any) -> Iterator[None]:
        if self.refuses:
            raise RuntimeError(self.refuses)
        self.log.append("capture")
        yield


def test_events_give_whole_nanoseconds_of_the_device() -> None:
    cuda = FakeCuda()
    clock = CudaClock("cuda:1", cuda=cuda)
    marks = [clock.mark()]
    for milliseconds in (1.5, 0.25):
        cuda.launch(milliseconds)
        marks.append(clock.mark())
    assert clock.read(marks) == [0, 1_500_000, 1_750_000]


def test_events_are_used_again() -> None:
    cuda = FakeCuda()
    clock = CudaClock("cuda:1", cuda=cuda)
    for _ in range(3):
        clock.read([clock.mark() for _ in range(4)])
    assert cuda.made == 4


def test_the_queue_is_filled_before_a_pass() -> None:
    cuda = FakeCuda()
    CudaClock("cuda:1", cuda=cuda, ahead_s=0.001).begin()
    CudaClock("cuda:1", cuda=cuda).begin()
    assert cuda.log == ["sleep 2000000"]


class Launches(nn.Module):
    def __init__(self, cuda: FakeCuda, milliseconds: float) -> None:
        super().__init__()
        self.cuda = cuda
        self.milliseconds = milliseconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.cuda.launch(self.milliseconds)
        return x


def test_tiles_of_a_device_are_the_time_of_its_kernels() -> None:
    cuda = FakeCuda()
    model = nn.Sequential(Launches(cuda, 2.0), Launches(cuda, 0.5))
    with Instrument(CudaClock("cuda:1", cuda=cuda)) as instrument:
        marked = instrument.take(lambda: model(torch.ones(1)))
    named = zip(name_calls(model, marked), marked.tiles.own, strict=True)
    assert {call.path: own for call, own in named if own} == {"0": 2_000_000, "1": 500_000}
    assert marked.tiles.whole == 2_500_000
    assert marked.tiles.instrument == 0


def test_a_pass_is_captured_after_passes_beside_and_then_replayed() -> None:
    cuda, ran = FakeCuda(), []
    replay = captured(lambda: ran.append(len(cuda.log)), "cuda:0", cuda=cuda)  # type: ignore[arg-type]
    assert cuda.log == ["stream on cuda:0", "side waits", "beside", "main waits", "capture"]
    assert len(ran) == 4
    replay()
    assert cuda.log[-1] == "replay"
    assert len(ran) == 4


def test_a_pass_that_cannot_be_captured_says_why() -> None:
    cuda = FakeCuda()
    cuda.refuses = "operation not permitted when stream is capturing"
    with pytest.raises(UsageError, match="not permitted when stream is capturing"):
        captured(lambda: None, "cuda:0", cuda=cuda)  # type: ignore[arg-type]


def test_a_cpu_has_the_clock_of_the_processor() -> None:
    clock = clock_for(torch.device("cpu"), ahead_s=1.0)
    assert isinstance(clock, CpuClock)
    marks = [clock.mark() for _ in range(3)]
    times = clock.read(marks)
    assert times == sorted(times)
    assert times[0] == 0
    assert all(isinstance(time, int) for time in times)

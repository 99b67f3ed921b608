"""Timing on a CUDA device: events, synchronisation and graph replay."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import modelcli
from modelcli.errors import UsageError
from modelcli.timing.clock import CudaClock
from modelcli.timing.latency import Stopwatch

pytestmark = pytest.mark.cuda


class Products(nn.Module):
    """Large products, whose kernels take far longer than their launches."""

    def __init__(self, count: int = 4, size: int = 4096) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size, size) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Small(nn.Module):
    """Many kernels of next to nothing, which are bound by their launches."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(100))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def timed(model: nn.Module, x: torch.Tensor, **options: Any) -> Any:
    return modelcli.time(model, x, device="cuda", runs=20, **options)


def test_events_agree_with_a_clock_that_waits() -> None:
    device = torch.device("cuda")
    model, x = Products().cuda(), torch.rand(4096, 4096, device=device)
    clock = CudaClock(device, ahead_s=0.01)
    with torch.inference_mode():
        for _ in range(3):
            model(x)
        torch.cuda.synchronize()
        began = time.perf_counter()
        model(x)
        torch.cuda.synchronize()
        waited_s = time.perf_counter() - began
        clock.begin()
        marks = [clock.mark()]
        model(x)
        marks.append(clock.mark())
    assert clock.read(marks)[-1] / 1e9 == pytest.approx(waited_s, rel=0.2)


def test_a_pass_is_waited_for_and_not_only_launched() -> None:
    model, x = Products().cuda(), torch.rand(4096, 4096, device="cuda")
    with torch.inference_mode():
        watch = Stopwatch(lambda: model(x), runs=20)
        for _ in range(3):
            watch.take_round()
        began = time.perf_counter()
        model(x)
        launched_s = time.perf_counter() - began
        torch.cuda.synchronize()
    assert watch.latency().median_s > 3 * launched_s


def test_parts_of_large_kernels_are_the_whole() -> None:
    found = timed(Products(), torch.rand(4096, 4096), by="layer")
    batch = found.batches[0]
    assert abs(batch.unattributed_s) < 0.05 * batch.latency.median_s
    rows = [row for row in found.rows if row.kind == "module"]
    assert len(rows) == 4
    assert max(row.time_s for row in rows) < 1.2 * min(row.time_s for row in rows)
    assert all(row.bound == "compute" for row in rows)


def test_a_graph_is_replayed_faster_than_small_kernels_are_launched() -> None:
    x = torch.rand(8, 16)
    eager, graph = timed(Small(), x), timed(Small(), x, engine="graph")
    assert graph.latency.median_s < 0.7 * eager.latency.median_s


def test_a_training_step_is_captured_too() -> None:
    x = torch.rand(8, 16)
    eager = timed(Small(), x, mode="train")
    graph = timed(Small(), x, mode="train", engine="graph")
    assert {phase.name for phase in eager.batches[0].phases} >= {"forward", "backward"}
    assert graph.latency.median_s < eager.latency.median_s


def test_the_launches_of_a_pass_are_ahead_of_the_device() -> None:
    """Tiles are kernels, so that a hundred small ones take less than their launches do."""
    found = timed(Small(), torch.rand(8, 16), by="layer")
    parts = found.batches[0].parts
    assert parts.parts_s < found.latency.median_s


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_trains(amp: str) -> None:
    found = timed(Small(), torch.rand(8, 16), mode="train", amp=amp)
    assert found.record.dtype == f"amp {amp}"
    assert found.record.ceilings.product_dtype == {"bf16": "bfloat16", "fp16": "float16"}[amp]


def test_the_trace_has_the_kernels(tmp_path: Path) -> None:
    found = timed(Products(1), torch.rand(8, 4096), profile=True)
    found.save_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert any(event.get("cat") == "kernel" for event in events)


def test_a_batch_that_does_not_fit_names_one_that_could() -> None:
    with pytest.raises(UsageError) as told:
        modelcli.time("lenet", batch_size=1 << 30, device="cuda", runs=1)
    assert "--batch-size" in told.value.hint

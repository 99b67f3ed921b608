"""Which engine runs the steps, and which memory format the images have."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import ScheduleConfig
from modelcli.errors import UsageError
from modelcli.training.data import Split
from modelcli.training.device import synchronize
from modelcli.training.step import EagerEngine, Engine, Learner

TIMED_STEPS = 5
CPU_CONVOLUTIONS = 2  # from how many on channels-last is faster on a CPU


def choose_engine(
    name: str,
    learner: Learner,
    *,
    accumulate: int,
    schedule: ScheduleConfig,
    tell: Callable[[str], None],
) -> Engine:
    """Return the engine of a name; ``auto`` is a graph on CUDA, else eager.

    Raises:
        UsageError: ``graph`` was asked for and cannot be had; the reason is given.
    """
    if name == "compile":
        return CompileEngine(learner)
    if name == "eager" or (name == "auto" and learner.device.type != "cuda"):
        return EagerEngine(learner, check=learner.device.type == "cpu")
    from modelcli.training.graph import GraphEngine, refuse_reason

    constant = schedule.name == "constant" and not schedule.warmup
    reason = refuse_reason(learner, accumulate=accumulate, schedule_is_constant=constant)
    if reason and name == "graph":
        raise UsageError(f"--engine graph: {reason}", "use --engine eager, or auto")
    if reason:
        tell(f"engine: eager, because {reason}")
        return EagerEngine(learner)
    return FallbackEngine(learner, GraphEngine(learner), insist=name == "graph", tell=tell)


class CompileEngine(EagerEngine):
    """Runs the model through ``torch.compile``, and the rest eagerly."""

    name = "compile"

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner, check=learner.device.type == "cpu")
        compiled = torch.compile(learner.model)

        def forward(batch: Split) -> tuple[Any, Tensor]:
            with learner.autocast():
                output = learner.call(compiled, batch.inputs)  # type: ignore[arg-type]
                return output, learner.objective.loss(output, batch.targets)

        self._forward = forward


class FallbackEngine:
    """Runs an engine until it refuses, then goes on eagerly from the same state.

    Args:
        insist: raise in place of going on.
    """

    def __init__(
        self,
        learner: Learner,
        engine: Engine,
        *,
        insist: bool,
        tell: Callable[[str], None],
    ) -> None:
        self._learner = learner
        self._engine = engine
        self._insist = insist
        self._tell = tell

    @property
    def name(self) -> str:
        """Name of the engine that runs now."""
        return self._engine.name

    @property
    def output(self) -> Any:
        """The model's output for the last batch."""
        return self._engine.output

    @output.setter
    def output(self, value: Any) -> None:
        self._engine.output = value

    def step(self, batches: Sequence[Split]) -> Tensor:
        """Take one step.

        Raises:
            UsageError: the step cannot be captured, and that was insisted on.
        """
        from modelcli.training.graph import CaptureRefusedError

        try:
            return self._engine.step(batches)
        except CaptureRefusedError as refused:
            if self._insist:
                raise UsageError(
                    f"--engine graph: the step cannot be captured: {refused}",
                    "use --engine eager, or auto, which falls back by itself",
                ) from None
            self._tell(f"engine: eager, because the step cannot be captured: {refused}")
            self._engine = EagerEngine(self._learner)
            return self._engine.step(batches)


def wants_capture(name: str, device: torch.device) -> bool:
    """Tell whether the optimiser should be built so that it can be captured."""
    return device.type == "cuda" and name in ("auto", "graph")


def choose_memory_format(
    name: str, learner: Learner, batch: Split, tell: Callable[[str], None]
) -> bool:
    """Turn an image model to channels-last where that is asked for or faster; return whether.

    On CUDA a few steps are timed. On a CPU the clock must not decide, or a run would not repeat
    bit for bit: there, models of two convolutions and more gain (1.3 times for LeNet, 2 for an
    autoencoder, whose pooling and normalisation then go over channels that lie side by side).
    """
    convolutions = sum(isinstance(module, nn.Conv2d) for module in learner.model.modules())
    images = [tensor for tensor in batch.inputs if tensor.dim() == 4]
    if name == "off" or not convolutions or not images:
        return False
    if name == "auto" and learner.device.type != "cuda":
        if learner.device.type != "cpu" or convolutions < CPU_CONVOLUTIONS:
            return False
    elif name == "auto":
        rows = _time_format(learner, batch, torch.contiguous_format)
        last = _time_format(learner, batch, torch.channels_last)
        tell(f"memory format: {1000 * rows:.2f} ms a pass, channels last {1000 * last:.2f} ms")
        if last > 0.97 * rows:
            return False
    learner.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return True


def _time_format(learner: Learner, batch: Split, memory_format: torch.memory_format) -> float:
    """Return the seconds of one forward and backward pass on a copy of the model."""
    model = copy.deepcopy(learner.model).to(memory_format=memory_format)  # type: ignore[call-overload]
    inputs = tuple(
        x.contiguous(memory_format=memory_format) if x.dim() == 4 else x for x in batch.inputs
    )
    devices = [learner.device]
    with torch.random.fork_rng(devices=devices):
        for number in range(2 * TIMED_STEPS):
            if number == TIMED_STEPS:
                synchronize(learner.device)
                began = time.perf_counter()
            with learner.autocast():
                output = learner.call(model, inputs)
                loss = learner.objective.loss(output, batch.targets)
            loss.backward()  # type: ignore[no-untyped-call]
        synchronize(learner.device)
    return (time.perf_counter() - began) / TIMED_STEPS

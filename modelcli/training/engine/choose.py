"""Which engine runs the steps, and which memory format the images have."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import ScheduleConfig
from modelcli.errors import UsageError, describe
from modelcli.loading.device import synchronize
from modelcli.modules import modules_of
from modelcli.training.data.tensors import Split, Tensors
from modelcli.training.engine.step import EagerEngine, Engine, Learner

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
    if learner.world.launched:
        from modelcli.training.distributed.engine import DistributedEngine

        return DistributedEngine(learner)
    if name == "compile":
        return CompileEngine(learner)
    if name == "eager" or (name == "auto" and learner.device.type != "cuda"):
        return EagerEngine(learner, check=learner.device.type == "cpu")
    from modelcli.training.engine.graph import GraphEngine, refuse_reason

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
    def settling_steps(self) -> int:
        """Those of the engine that runs now."""
        return self._engine.settling_steps

    @property
    def peak_memory_bytes(self) -> int:
        """Of the engine that runs now."""
        return self._engine.peak_memory_bytes

    @property
    def output(self) -> Tensor | None:
        """The first tensor of the model's output for the last batch."""
        return self._engine.output

    @output.setter
    def output(self, value: Tensor | None) -> None:
        self._engine.output = value

    def step(self, batches: Sequence[Split]) -> Tensor:
        """Take one step.

        Raises:
            UsageError: the step cannot be captured, and that was insisted on.
        """
        from modelcli.training.engine.graph import CaptureRefusedError

        try:
            return self._engine.step(batches)
        except CaptureRefusedError as error:
            refused = str(error)  # the error itself would hold the memory of the capture
        if self._insist:
            raise UsageError(
                f"--engine graph: the step cannot be captured: {refused}",
                "use --engine eager, or auto, which falls back by itself",
            )
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
    A model that cannot be copied, or fails that way (as one that calls ``view``), stays in rows.
    """
    convolutions = _convolutions(learner.model)
    images = [tensor for tensor in batch.inputs if tensor.dim() == 4]
    if name == "off" or not convolutions or not images:
        return False
    if name == "auto":
        timed = learner.device.type == "cuda"
        if not timed and (learner.device.type != "cpu" or len(convolutions) < CPU_CONVOLUTIONS):
            return False
        try:
            gains = _gains(learner, batch, tell) if timed else _runs(learner, batch)
            gains = learner.world.decide(gains)  # the first one's clock
        except Exception as error:  # whatever the user's forward raises then, memory included
            tell(f"memory format: rows, because channels last fails: {describe(error)}")
            return False
        if not gains:
            return False
    _to_channels_last(learner.model)
    return True


def _convolutions(model: nn.Module) -> list[nn.Module]:
    return [each for each in modules_of(model) if isinstance(each, (nn.Conv2d, nn.ConvTranspose2d))]


def _to_channels_last(model: nn.Module) -> None:
    """Lay out the convolutions' weights; a model may hold others that have no such format."""
    for module in _convolutions(model):
        nn.Module.to(module, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _runs(learner: Learner, batch: Split) -> bool:
    """Try a pass of two samples on a copy of the model."""
    _time_format(learner, batch.slice(0, 2), torch.channels_last, steps=1)
    return True


def _gains(learner: Learner, batch: Split, tell: Callable[[str], None]) -> bool:
    rows = _time_format(learner, batch, torch.contiguous_format, steps=TIMED_STEPS)
    last = _time_format(learner, batch, torch.channels_last, steps=TIMED_STEPS)
    tell(f"memory format: {1000 * rows:.2f} ms a pass, channels last {1000 * last:.2f} ms")
    return last <= 0.97 * rows


def _time_format(
    learner: Learner, batch: Split, memory_format: torch.memory_format, *, steps: int
) -> float:
    """Return the seconds of one forward and backward pass on a copy of the model."""
    model = copy.deepcopy(learner.model)
    if memory_format is torch.channels_last:
        _to_channels_last(model)
    inputs = lay_out(batch.inputs, memory_format)
    devices = [learner.device] if learner.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        for number in range(2 * steps):
            if number == steps:
                synchronize(learner.device)
                began = time.perf_counter()
            with learner.autocast():
                output = learner.call(model, inputs)
                loss = learner.objective.loss(output, batch.targets)
            loss.backward()  # type: ignore[no-untyped-call]
        synchronize(learner.device)
    return (time.perf_counter() - began) / steps


def lay_out(inputs: Tensors, memory_format: torch.memory_format) -> Tensors:
    """Return a batch with its images (B, C, H, W) in a memory format."""
    return tuple(x.contiguous(memory_format=memory_format) if x.dim() == 4 else x for x in inputs)

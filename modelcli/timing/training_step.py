"""A training step to be timed: zeroing, forward, backward, update."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from modelcli.config import OptimizerConfig
from modelcli.errors import UsageError
from modelcli.loading.example import ExampleInputs
from modelcli.modules import parameters_of
from modelcli.nested import tensors_in
from modelcli.timing.clock import Clock
from modelcli.timing.engines import captured, compiled, refuse_compiling
from modelcli.timing.statistics import middle_half
from modelcli.timing.subject import Precision, failed_pass, seconds_of
from modelcli.training.optimizer import build_optimizer

PHASES = ("zeroing", "forward", "backward", "optimizer")
# So small that weights stay what they are over thousands of steps on one batch: a loss that went
# to zero would leave gradients too small for the processor's fast arithmetic.
_LR = 1e-6
_NS = 1e-9


class TrainingStep:
    """One step on one batch, again and again.

    The loss is the mean square of every floating output: what it is does not matter to the time,
    and the targets of a real one are not known.

    Args:
        model: on its device, in training mode.
        inputs: with values, on the device.
        label: of the model, for messages.
        precision: what the forward pass is cast to.
        device: where it runs.
        optimizer: name and settings.
        engine: ``eager``, ``compile`` or ``graph``.

    Raises:
        RunFailedError: the step raised.
        UsageError: nothing to train, or a step that cannot be captured.
    """

    gradients = "on"

    def __init__(
        self,
        model: nn.Module,
        inputs: ExampleInputs,
        *,
        label: str,
        precision: Precision,
        device: torch.device,
        optimizer: OptimizerConfig,
        engine: str = "eager",
    ) -> None:
        self._precision = precision
        self._device = device
        params = [p for p in parameters_of(model) if p.requires_grad]
        if not params:
            raise UsageError(
                f"'{label}' has no parameter to train", "leave out --mode train to time its forward"
            )
        config = dataclasses.replace(optimizer, lr=optimizer.lr or _LR)
        self._optimizer = build_optimizer(
            config, params, device=device, capturable=engine == "graph"
        )
        self.optimizer = type(self._optimizer).__name__
        self._scaler = torch.amp.GradScaler(device.type) if precision.amp == "fp16" else None
        args, kwargs = inputs.args, dict(inputs.kwargs)
        call = compiled(model) if engine == "compile" else model
        self._call: Callable[[], Any] = lambda: call(*args, **kwargs)
        self.run: Callable[[], Any] = self._step
        self._try(label, engine)
        if engine == "graph":
            self.run = captured(self._step, device)

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return what every step runs in."""
        return torch.enable_grad()

    def forward(self) -> Any:
        """Run the forward pass alone."""
        with self._precision.autocast(self._device):
            return self._call()

    def _try(self, label: str, engine: str) -> None:
        try:
            with self.context():
                self.first_s = seconds_of(self._step)
        except (Exception, SystemExit) as error:  # whatever the user's forward raises
            if isinstance(error, UsageError):
                raise
            told = refuse_compiling if engine == "compile" else failed_pass
            raise told(label, error) from error

    def _step(self) -> None:
        self._zero()
        self._update(self._backward(self._loss()))

    def _zero(self) -> None:
        self._optimizer.zero_grad(set_to_none=True)

    def _loss(self) -> torch.Tensor:
        outputs = [t for t in tensors_in(self.forward()) if t.requires_grad]
        if not outputs:
            raise UsageError(
                "no output of the model has a gradient, so that it cannot be trained",
                "leave out --mode train to time its forward",
            )
        return torch.stack([t.abs().float().square().mean() for t in outputs]).sum()

    def _backward(self, loss: torch.Tensor) -> torch.Tensor:
        scaled = loss if self._scaler is None else self._scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]
        return loss

    def _update(self, _loss: torch.Tensor) -> None:
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()

    def marked(self, clock: Clock) -> list[int]:
        """Take one step and return the nanoseconds of each of `PHASES`."""
        clock.begin()
        marks = [clock.mark()]
        self._zero()
        marks.append(clock.mark())
        loss = self._loss()
        marks.append(clock.mark())
        self._backward(loss)
        marks.append(clock.mark())
        self._update(loss)
        marks.append(clock.mark())
        times = clock.read(marks)
        return [after - before for before, after in itertools.pairwise(times)]


class PhaseWatch:
    """Marks the phases of steps, in rounds.

    Args:
        step: what is taken.
        clock: tells the time between marks.
    """

    def __init__(self, step: TrainingStep, clock: Clock) -> None:
        self._step = step
        self._clock = clock
        self._steps: list[list[int]] = []

    def take_round(self, count: int) -> None:
        """Take so many steps."""
        self._steps += [self._step.marked(self._clock) for _ in range(count)]

    def phases(self) -> dict[str, float]:
        """Return the mean seconds of each phase, over the steps in the middle half."""
        middle = middle_half(self._steps, key=sum)
        means = [sum(times) / len(middle) * _NS for times in zip(*middle, strict=True)]
        return dict(zip(PHASES, means, strict=True))

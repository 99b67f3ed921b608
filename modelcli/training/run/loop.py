"""The loop: batches into steps, losses into points, and nothing in between that waits."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from modelcli.config import ScheduleConfig
from modelcli.loading.device import synchronize
from modelcli.modules import switch_mode
from modelcli.training.data.of_step import StepBatches
from modelcli.training.data.tensors import Batches
from modelcli.training.engine.step import Engine, Learner, NonFiniteLossError, narrate_step
from modelcli.training.optimizer import schedule_factor, set_lr
from modelcli.training.run.observer import Observer, Point

TICK_S = 0.25  # between two ticks


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run is, and what it has seen; everything that a resumed run needs besides weights.

    Attributes:
        step: optimiser steps taken.
        first_loss: of the first step.
        best_loss: lowest of the points.
        elapsed_s: time spent in steps.
        timed_steps: steps taken after the engine had settled; timed_s: the time that they took.
        unlogged_steps: steps since the last point; unlogged_s: the time that they took.
        pending: losses since the last point.
        points: the curve so far.
    """

    step: int = 0
    first_loss: float | None = None
    best_loss: float = math.inf
    elapsed_s: float = 0.0
    timed_steps: int = 0
    timed_s: float = 0.0
    unlogged_steps: int = 0
    unlogged_s: float = 0.0
    pending: list[float] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long to train and how often to look.

    Attributes:
        steps: optimiser steps in all.
        accumulate: batches of one step.
        lr: the learning rate that the schedule scales.
        epochs: passes over the samples; 0 of fresh samples, and of one batch again and again.
    """

    steps: int
    batch_size: int
    accumulate: int
    log_every: int
    lr: float
    schedule: ScheduleConfig
    narrate: bool = False
    epochs: float = 0.0


class InterruptedRunError(Exception):
    """A signal asked the run to stop.

    Args:
        signum: which one.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Loop:
    """Trains a learner.

    Args:
        learner: what is trained.
        engine: how a step is run.
        batches: where they come from.
        plan: how long.
        observer: is told what happens, and looks at the run between steps.
        progress: where to begin.
    """

    def __init__(
        self,
        learner: Learner,
        engine: Engine,
        batches: Batches,
        plan: Plan,
        observer: Observer,
        progress: Progress | None = None,
    ) -> None:
        self._learner = learner
        self._engine = engine
        self._batches = batches
        self._plan = plan
        self._observer = observer
        self._signal = 0
        self._next_tick_s = 0.0
        self.progress = progress or Progress()
        self._losses: list[Tensor] = [
            torch.tensor(each, dtype=torch.float64) for each in self.progress.pending
        ]
        settled = self.progress.step + engine.settling_steps
        # a run that is over before its engine has settled is timed as a whole
        self._settled_at = settled if settled < plan.steps else self.progress.step

    def run(self) -> None:
        """Train until the last step.

        Raises:
            NonFiniteLossError: a loss is not finite.
            InterruptedRunError: SIGINT, SIGTERM or SIGHUP; the step that was running is complete.
        """
        switch_mode(self._learner.model, True)
        with self._signals():
            while self.progress.step < self._plan.steps:
                self._chunk(self._next_stop())
                self._observer.at(self.progress.step, self)
                if self._stops(at_end=True):
                    raise InterruptedRunError(int(self._learner.world.most(self._signal)))

    def _next_stop(self) -> int:
        """Return the step up to which nothing has to be looked at."""
        plan, step = self._plan, self.progress.step
        if step == 0:
            return 1  # the first loss is set beside what an untrained model gives
        stop = min(plan.steps, (step // plan.log_every + 1) * plan.log_every)
        if not self._log_is_due(stop):  # too close to the end for a point of its own
            stop = plan.steps
        wanted = self._observer.next_stop(step)
        if wanted is not None:
            stop = min(stop, max(step + 1, wanted))
        return min(stop, self._settled_at) if step < self._settled_at else stop

    def _log_is_due(self, step: int) -> bool:
        plan = self._plan
        if step in (1, plan.steps):
            return True
        return step % plan.log_every == 0 and 2 * (plan.steps - step) >= plan.log_every

    def _chunk(self, stop: int) -> None:
        progress, began = self.progress, time.perf_counter()
        first = progress.step
        for number in range(first, stop):
            self._set_lr(number)
            self._losses.append(self._step(number))
            progress.step = number + 1
            if self._stops():
                break
            self._tick()
        synchronize(self._learner.device)
        took = time.perf_counter() - began
        progress.elapsed_s += took
        progress.unlogged_steps += progress.step - first
        progress.unlogged_s += took
        if first >= self._settled_at:
            progress.timed_steps += progress.step - first
            progress.timed_s += took
        if self._log_is_due(progress.step):
            self._log()

    def _stops(self, *, at_end: bool = False) -> bool:
        """Tell whether a signal ends the run here; several processes agree, or they would wait.

        On a CPU every step brings word of the others; elsewhere that waits for the end of a chunk.
        """
        world = self._learner.world
        if world.size == 1:
            return self._signal != 0
        if at_end and self._learner.device.type != "cpu":
            world.stops = world.most(self._signal) > 0
        return world.stops

    def _tick(self) -> None:
        now_s = time.perf_counter()
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + TICK_S
            self._observer.tick(self.progress.step)

    def _step(self, number: int) -> Tensor:
        count = self._plan.accumulate
        batches = StepBatches(self._batches, number * count, count)
        if number == 0 and self._plan.narrate and not self._learner.world.launched:
            self._engine.output, loss = narrate_step(self._learner, batches, self._observer.detail)
            return loss
        return self._engine.step(batches)

    def _set_lr(self, number: int) -> None:
        schedule = self._plan.schedule
        if schedule.name != "constant" or schedule.warmup:
            factor = schedule_factor(schedule, number, self._plan.steps)
            set_lr(self._learner.optimizer, self._plan.lr * factor)

    def _log(self) -> None:
        """Read the losses since the last point, which is where the device is waited for."""
        values = self.read_losses()
        self._losses.clear()
        progress, plan = self.progress, self._plan
        if progress.first_loss is None:
            progress.first_loss = values[0]
        steps_per_s = progress.unlogged_steps / progress.unlogged_s if progress.unlogged_s else 0.0
        progress.unlogged_steps, progress.unlogged_s = 0, 0.0
        point = Point(
            step=progress.step,
            steps=plan.steps,
            loss=math.fsum(values) / len(values),
            accuracy=self._accuracy(),
            lr=self._lr(),
            samples_per_s=steps_per_s * plan.batch_size * plan.accumulate,
            elapsed_s=progress.elapsed_s,
            epochs=plan.epochs,
        )
        progress.best_loss = min(progress.best_loss, point.loss)
        progress.points.append(point)
        self._observer.point(point)

    def read_losses(self) -> list[float]:
        """Return the losses since the last point; the device is waited for.

        Raises:
            NonFiniteLossError: one of them is not finite.
        """
        if not self._losses:
            return []
        wide = torch.float32 if self._learner.device.type == "mps" else torch.float64
        losses = [loss.to(self._learner.device, wide) for loss in self._losses]
        values: list[float] = torch.stack(losses).tolist()
        for index, value in enumerate(values):
            if not math.isfinite(value):
                step = self.progress.step - len(values) + index + 1
                batch = self._batches[step * self._plan.accumulate - 1]
                raise NonFiniteLossError(value, batch, step=step)
        return values

    def _accuracy(self) -> float | None:
        plan = self._plan
        if self._learner.objective.kind != "labels":
            return None
        last = self._batches[self.progress.step * plan.accumulate - 1]
        assert self._engine.output is not None
        correct = self._learner.objective.correct(self._engine.output, last.targets)
        if correct is None:
            return None
        return float(self._learner.world.sum(correct.clone())) / plan.batch_size

    def _lr(self) -> float:
        factor = schedule_factor(self._plan.schedule, self.progress.step - 1, self._plan.steps)
        return self._plan.lr * factor

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGINT, SIGTERM and SIGHUP end the run after the step that is running."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kinds = [signal.SIGINT, signal.SIGTERM]
        hung_up = getattr(signal, "SIGHUP", None)  # not on Windows
        if hung_up is not None and signal.getsignal(hung_up) is not signal.SIG_IGN:
            kinds.append(hung_up)  # nohup has it ignored, and so it stays
        before = {kind: signal.signal(kind, self._on_signal) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def _on_signal(self, signum: int, _frame: Any) -> None:
        if self._signal:  # asked twice: do not wait for the step
            raise KeyboardInterrupt
        self._signal = self._learner.world.signum = signum

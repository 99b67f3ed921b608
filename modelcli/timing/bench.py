"""One batch size while it is timed: the whole, its parts, its phases."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import nn

from modelcli.isolation import preserved_state
from modelcli.loading.example import ExampleInputs
from modelcli.machine.record import Ceilings
from modelcli.timing.changes import describe_change, follow
from modelcli.timing.clock import CpuClock, clock_for
from modelcli.timing.latency import Stopwatch, warm_up
from modelcli.timing.options import TimeOptions
from modelcli.timing.parts import PartsWatch, Residue
from modelcli.timing.record import Phase, Timed
from modelcli.timing.subject import Subject
from modelcli.timing.traffic import moved_bytes
from modelcli.timing.training_step import PhaseWatch, TrainingStep
from modelcli.tracing.record import Trace
from modelcli.training.run.throughput import step_flops

STARVED = 0.2  # of the time waited for a core, from which one thread may be faster
_PHASE_S, _MOST_STEPS = 0.3, 50  # of a round


class Bench:
    """What is measured of one batch size, round by round.

    Args:
        model: that runs.
        subject: one pass of it.
        inputs: as they were found; the device has a copy of them.
        trace: the forward pass observed.
        options: how it is timed.
        device: where.
    """

    def __init__(
        self,
        model: nn.Module,
        subject: Subject,
        inputs: ExampleInputs,
        trace: Trace,
        options: TimeOptions,
        device: torch.device,
    ) -> None:
        self.subject = subject
        self.inputs = inputs
        self._trace = trace
        self._options = options
        self._replays = options.engine == "graph"  # of which Python sees nothing
        with subject.context():
            self._course = None if self._replays else follow(subject.forward)
            warm = warm_up(subject.run, passes=options.warmup)
        self._warm_up = dataclasses.replace(warm, first_s=subject.first_s)
        self._stopwatch = Stopwatch(subject.run, runs=options.runs)
        clock = clock_for(device, ahead_s=2 * warm.last_s)
        self._parts = None
        if options.by is not None:
            self._parts = PartsWatch(model, subject.forward, clock)
        self._phases = None
        if isinstance(subject, TrainingStep) and not self._replays:
            self._phases = PhaseWatch(subject, clock)
        self._one_thread_s: float | None = None
        self._model = model

    @property
    def batch_size(self) -> int | None:
        """The first dimension of the first input."""
        return batch_of(self.inputs)

    def take_round(self) -> None:
        """Time the whole, then its parts and phases, for some of the time each."""
        with self.subject.context():
            self._stopwatch.take_round()
            about_s = self._stopwatch.last_s
            if self._phases is not None:
                steps = self._options.runs or max(3, min(_MOST_STEPS, int(_PHASE_S / about_s)))
                self._phases.take_round(steps)
            if self._parts is not None:
                self._parts.take_round(about_s, passes=self._options.runs)

    def ask_one_thread(self) -> None:
        """Time with one thread too where several have waited for cores."""
        if (self._stopwatch.watch.total.share or 0.0) < STARVED:
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            alone = Stopwatch(self.subject.run, runs=self._options.runs)
            with self.subject.context():
                alone.take_round()
            self._one_thread_s = alone.latency().median_s
        finally:
            torch.set_num_threads(threads)

    def result(self, ceilings: Ceilings, residue: Residue | None) -> Timed:
        """Return what all rounds have given.

        Args:
            residue: what marks leave in the times of the parts, where these were timed.
        """
        parts = None
        if self._parts is not None and residue is not None:
            parts = self._parts.result(self._trace, ceilings, residue)
        changes = ""
        if self._course is not None:
            with self.subject.context():
                changes = describe_change(self._course, follow(self.subject.forward))
        flops = self._flops()
        return Timed(
            batch_size=self.batch_size,
            inputs=self.inputs.records,
            latency=self._stopwatch.latency(),
            warm_up=self._warm_up,
            waiting=self._stopwatch.watch.total,
            flops=sum(flops.values()) if flops is not None else None,
            uncounted=self._trace.coverage.uncounted,
            parts=parts,
            phases=self._phase_rows(flops or {}),
            moved_bytes=None if self._trains else sum(moved_bytes(self._trace).values()),
            one_thread_s=self._one_thread_s,
            changes=changes,
        )

    @property
    def _trains(self) -> bool:
        return isinstance(self.subject, TrainingStep)

    def _flops(self) -> dict[str, int] | None:
        """Return the operations by phase; None where not all of them are known."""
        if not self._trace.coverage.complete:
            return None
        if not isinstance(self.subject, TrainingStep):
            return {"forward": self._trace.totals.flops}
        if self._options.engine != "eager":
            return None  # a compiled model cannot be observed
        with self.subject.context(), preserved_state():
            found = step_flops(self._model, self.subject.forward)
        return None if found is None else dict(zip(("forward", "backward"), found, strict=True))

    def _phase_rows(self, flops: Mapping[str, int]) -> tuple[Phase, ...]:
        if self._phases is None:
            return ()
        return tuple(
            Phase(name=name, time_s=time_s, flops=flops.get(name))
            for name, time_s in self._phases.phases().items()
        )


def batch_of(inputs: ExampleInputs) -> int | None:
    """Return the first dimension of the first input, which ``--batch-size`` replaces."""
    shape = inputs.records[0].shape if inputs.records else ()
    return shape[0] if shape else None


def find_residue(device: torch.device, options: TimeOptions) -> Residue | None:
    """Return what marks leave in the times of parts, where parts are timed."""
    return None if options.by is None else Residue(CpuClock(), on_cpu=device.type == "cpu")

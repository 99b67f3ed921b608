"""From a source to what was timed of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from modelcli.errors import RunFailedError, UsageError
from modelcli.isolation import isolated
from modelcli.loading.device import check_precision, device_label, resolve_device
from modelcli.loading.example import ExampleInputs, model_dtype
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, Mode
from modelcli.machine.ceilings import measure_ceilings, measure_product
from modelcli.machine.record import Ceilings
from modelcli.observe import observe
from modelcli.running.options import RunOptions
from modelcli.running.prepare import build_model, fill_inputs
from modelcli.timing.changes import Course, describe_change, follow
from modelcli.timing.clock import CpuClock, clock_for
from modelcli.timing.latency import ROUNDS, Stopwatch, warm_up
from modelcli.timing.options import TimeOptions
from modelcli.timing.parts import PartsWatch, Residue
from modelcli.timing.record import Timed, TimeRecord
from modelcli.timing.statistics import WarmUp
from modelcli.timing.subject import Forward, Precision, Subject, cast_inputs, cast_model
from modelcli.timing.traffic import moved_bytes
from modelcli.tracing.record import Trace

_STARVED = 0.2  # of the time waited for a core, from which one thread may be faster


def time_model(
    source: Source,
    request: InputRequest,
    options: TimeOptions,
    *,
    inputs: ExampleInputs | None = None,
) -> TimeRecord:
    """Time a private copy of a model, at every batch size that is asked for.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        options: how it is timed.
        inputs: with their values; None looks for them as every command does.

    Raises:
        RunFailedError: the constructor or the forward raised.
        UsageError: inputs that do not fit, a precision that the device does not have.
        UnavailableError: the device is not here.
    """
    device = resolve_device(options.device)
    check_precision(device, dtype=options.dtype or "float32", amp=options.amp)
    if options.engine == "graph" and device.type != "cuda":
        raise UsageError(
            f"--engine graph: graphs are CUDA's, and the device is {device.type}",
            "use --engine eager or compile, or --device cuda",
        )
    with isolated(source.folder):
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        return _Session(source, request, options, device).time(inputs)


@dataclass(slots=True, kw_only=True)
class _Bench:
    """One batch size while it is timed."""

    batch_size: int | None
    inputs: ExampleInputs
    trace: Trace
    subject: Subject
    stopwatch: Stopwatch
    warm_up: WarmUp
    course: Course
    parts: PartsWatch | None = None
    one_thread_s: float | None = None


class _Session:
    """One command: a model on its device, timed with one or more batches."""

    def __init__(
        self, source: Source, request: InputRequest, options: TimeOptions, device: torch.device
    ) -> None:
        self._source = source
        self._request = request
        self._options = options
        self._device = device
        self._precision = Precision(dtype=options.dtype, amp=options.amp)
        self._model = self._build()

    def _build(self) -> nn.Module:
        how = RunOptions(mode=self._options.mode, allow_real=self._options.allow_real)
        return cast_model(build_model(self._source, how, self._device), self._precision)

    def time(self, given: ExampleInputs | None) -> TimeRecord:
        """Time every batch in turn, and the machine between them."""
        benches = [self._prepare(each) for each in self._inputs(given)]
        ceilings: Ceilings | None = None
        kind = self._precision.of(model_dtype(self._model))
        for _ in range(ROUNDS):
            for bench in benches:
                self._take_round(bench)
            if ceilings is None:
                ceilings = measure_ceilings(self._device, kind)
        assert ceilings is not None  # there is a first round
        again, _size = measure_product(self._device, kind)
        residue = self._residue()
        self._ask_one_thread(benches)
        return TimeRecord(
            device=device_label(self._device),
            dtype=self._dtype(),
            mode=self._options.mode,
            engine=self._options.engine,
            threads=torch.get_num_threads(),
            gradients=benches[0].subject.gradients,
            ceilings=ceilings,
            ceiling_drift=again / ceilings.product_flops_per_s - 1,
            by=self._options.by,
            batches=tuple(self._result(bench, ceilings, residue) for bench in benches),
            remarks=tuple(dict.fromkeys(r for bench in benches for r in bench.inputs.remarks)),
        )

    def _take_round(self, bench: _Bench) -> None:
        with bench.subject.context():
            bench.stopwatch.take_round()
            if bench.parts is not None:
                bench.parts.take_round(bench.stopwatch.last_s, passes=self._options.runs)

    def _residue(self) -> Residue | None:
        on_cpu = self._device.type == "cpu"
        return Residue(CpuClock(), on_cpu=on_cpu) if self._options.by is not None else None

    def _dtype(self) -> str:
        if self._precision.amp != "off":
            return f"amp {self._precision.amp}"
        return str(self._precision.of(model_dtype(self._model))).removeprefix("torch.")

    def _inputs(self, given: ExampleInputs | None) -> Iterator[ExampleInputs]:
        if given is not None:
            yield given
            return
        for size in self._options.batch_sizes or (self._request.batch_size,):
            request = dataclasses.replace(self._request, batch_size=size)
            training = self._options.mode == "train"
            yield find_inputs(self._source, self._model, request, training=training)

    def _prepare(self, example: ExampleInputs) -> _Bench:
        example = cast_inputs(example, self._precision)
        trace = self._observe(example)
        filled = fill_inputs(
            example, RunOptions(), self._device, label=self._source.label, fixed=False
        )
        subject = Forward(
            self._model,
            filled,
            label=self._source.label,
            precision=self._precision,
            device=self._device,
        )
        with subject.context():
            course = follow(subject.run)
            warm = warm_up(subject.run, passes=self._options.warmup)
        first = example.records[0].shape if example.records else ()
        return _Bench(
            batch_size=first[0] if first else None,
            inputs=example,
            trace=trace,
            subject=subject,
            stopwatch=Stopwatch(subject.run, runs=self._options.runs),
            warm_up=warm,
            course=course,
            parts=None if self._options.by is None else self._parts(subject, warm),
        )

    def _parts(self, subject: Subject, warm: WarmUp) -> PartsWatch:
        return PartsWatch(self._model, subject.run, clock_for(self._device, ahead_s=warm.last_s))

    def _observe(self, example: ExampleInputs) -> Trace:
        """Describe the model that is timed, with its dtypes, on these inputs."""
        source = Source(label=self._source.label, instance=self._model, folder=self._source.folder)
        mode: Mode = "train" if self._options.mode == "train" else "eval"
        trace = observe(source, mode=mode, inputs=example, allow_real=True)
        failure = trace.failure
        if failure is not None:
            where = f" in '{failure.path}'" if failure.path else ""
            raise RunFailedError(
                f"forward of '{source.label}' failed{where}: {failure.type}: {failure.message}",
                f"'modelcli summary {source.label}' shows the layers up to it; "
                "--input gives another shape",
            )
        return trace

    def _ask_one_thread(self, benches: list[_Bench]) -> None:
        """Time one thread too where several have waited for cores, and nobody asked for several."""
        if torch.get_num_threads() == 1 or self._options.threads is not None:
            return
        threads = torch.get_num_threads()
        for bench in benches:
            if (bench.stopwatch.watch.total.share or 0.0) < _STARVED:
                continue
            torch.set_num_threads(1)
            try:
                alone = Stopwatch(bench.subject.run, runs=self._options.runs)
                with bench.subject.context():
                    alone.take_round()
                bench.one_thread_s = alone.latency().median_s
            finally:
                torch.set_num_threads(threads)

    def _result(self, bench: _Bench, ceilings: Ceilings, residue: Residue | None) -> Timed:
        trace = bench.trace
        parts = None
        if bench.parts is not None and residue is not None:
            parts = bench.parts.result(trace, ceilings, residue)
        with bench.subject.context():
            changes = describe_change(bench.course, follow(bench.subject.run))
        return Timed(
            batch_size=bench.batch_size,
            inputs=bench.inputs.records,
            latency=bench.stopwatch.latency(),
            warm_up=bench.warm_up,
            waiting=bench.stopwatch.watch.total,
            flops=trace.totals.flops if trace.coverage.complete else None,
            uncounted=trace.coverage.uncounted,
            parts=parts,
            moved_bytes=sum(moved_bytes(trace).values()),
            one_thread_s=bench.one_thread_s,
            changes=changes,
        )

"""From a source to what was timed of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import nn

from modelcli.errors import RunFailedError, UsageError
from modelcli.isolation import isolated
from modelcli.loading.device import (
    check_precision,
    device_label,
    free_memory_bytes,
    resolve_device,
)
from modelcli.loading.example import ExampleInputs, model_dtype
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, Mode
from modelcli.machine.ceilings import measure_ceilings, measure_product
from modelcli.machine.record import Ceilings
from modelcli.observe import observe
from modelcli.running.options import RunOptions
from modelcli.running.prepare import build_model, fill_inputs
from modelcli.timing.bench import Bench, batch_of, find_residue
from modelcli.timing.latency import ROUNDS
from modelcli.timing.options import TimeOptions
from modelcli.timing.profile import profile_passes
from modelcli.timing.record import TimeRecord
from modelcli.timing.room import check_room, is_out_of_memory, out_of_memory
from modelcli.timing.subject import Forward, Precision, Subject, cast_inputs, cast_model
from modelcli.timing.training_step import TrainingStep
from modelcli.tracing.record import Trace

Tell = Callable[[str], None]


def time_model(
    source: Source,
    request: InputRequest,
    options: TimeOptions,
    *,
    inputs: ExampleInputs | None = None,
    tell: Tell = lambda _text: None,
) -> TimeRecord:
    """Time a private copy of a model, at every batch size that is asked for.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        options: how it is timed.
        inputs: with their values; None looks for them as every command does.
        tell: is told what happens now.

    Raises:
        RunFailedError: the constructor or the forward raised.
        UsageError: inputs that do not fit, a precision that the device does not have.
        UnavailableError: the device or a compiler is not here.
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
        return _Session(source, request, options, device, tell).time(inputs)


class _Session:
    """One command: a model on its device, timed with one or more batches."""

    def __init__(
        self,
        source: Source,
        request: InputRequest,
        options: TimeOptions,
        device: torch.device,
        tell: Tell,
    ) -> None:
        self._source = source
        self._request = request
        self._options = options
        self._device = device
        self._tell = tell
        self._precision = Precision(dtype=options.dtype, amp=options.amp)
        self._trains = options.mode == "train"
        tell("building the model")
        self._model = self._build()

    def _build(self) -> nn.Module:
        how = RunOptions(mode=self._options.mode, allow_real=self._options.allow_real)
        return cast_model(build_model(self._source, how, self._device), self._precision)

    def time(self, given: ExampleInputs | None) -> TimeRecord:
        """Time every batch in turn, and the machine between them."""
        benches = [self._prepare(each) for each in self._inputs(given)]
        ceilings: Ceilings | None = None
        kind = self._precision.of(model_dtype(self._model))
        for number in range(ROUNDS):
            self._tell(f"timing, round {number + 1} of {ROUNDS}")
            for bench in benches:
                bench.take_round()
            if ceilings is None:
                self._tell("what the machine reaches")
                ceilings = measure_ceilings(self._device, kind)
        assert ceilings is not None  # there is a first round
        ceilings, drift = self._again(ceilings, kind)
        if torch.get_num_threads() > 1 and self._options.threads is None:
            for bench in benches:
                bench.ask_one_thread()
        residue = find_residue(self._device, self._options)
        subject = benches[0].subject
        return TimeRecord(
            device=device_label(self._device),
            dtype=self._dtype(),
            mode=self._options.mode,
            engine=self._options.engine,
            threads=torch.get_num_threads(),
            gradients=subject.gradients,
            optimizer=subject.optimizer if isinstance(subject, TrainingStep) else "",
            ceilings=ceilings,
            ceiling_drift=drift,
            by=self._options.by,
            batches=tuple(bench.result(ceilings, residue) for bench in benches),
            profile=profile_passes(subject, self._device) if self._options.profile else None,
            remarks=tuple(dict.fromkeys(r for bench in benches for r in bench.inputs.remarks)),
        )

    def _again(self, ceilings: Ceilings, kind: torch.dtype) -> tuple[Ceilings, float]:
        """Measure the product once more: the better is the ceiling, the difference is a sign."""
        again, size = measure_product(self._device, kind)
        drift = again / ceilings.product_flops_per_s - 1
        if drift > 0:
            better = {"product_flops_per_s": again, "product_size": size}
            ceilings = dataclasses.replace(ceilings, **better)  # type: ignore[arg-type]
        return ceilings, drift

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
            yield find_inputs(self._source, self._model, request, training=self._trains)

    def _prepare(self, example: ExampleInputs) -> Bench:
        example = cast_inputs(example, self._precision)
        size = batch_of(example)
        self._tell("warming up" if size is None else f"warming up, batch {size}")
        trace = self._observe(example)
        if not self._options.allow_real:
            check_room(
                trace,
                label=self._source.label,
                batch_size=size,
                free_bytes=free_memory_bytes(self._device),
                training=self._trains,
            )
        try:
            subject = self._subject(example)
            return Bench(self._model, subject, example, trace, self._options, self._device)
        except Exception as error:
            if is_out_of_memory(error):
                raise out_of_memory(self._source.label, size) from error
            raise

    def _subject(self, example: ExampleInputs) -> Subject:
        label, device, precision = self._source.label, self._device, self._precision
        filled = fill_inputs(example, RunOptions(), device, label=label, fixed=False)
        engine = self._options.engine
        if not self._trains:
            return Forward(
                self._model, filled, label=label, precision=precision, device=device, engine=engine
            )
        return TrainingStep(
            self._model,
            filled,
            label=label,
            precision=precision,
            device=device,
            engine=engine,
            optimizer=self._options.optimizer,
        )

    def _observe(self, example: ExampleInputs) -> Trace:
        """Describe the model that is timed, with its dtypes, on these inputs."""
        source = Source(label=self._source.label, instance=self._model, folder=self._source.folder)
        mode: Mode = "train" if self._trains else "eval"
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

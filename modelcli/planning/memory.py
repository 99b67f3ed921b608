"""From a model and options to what it takes: passes on meta, and what follows from them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from modelcli.errors import UsageError, describe
from modelcli.isolation import isolated
from modelcli.ledger.record import MemoryRecord
from modelcli.loading.build import DEFAULT_GUARD_BYTES, build, build_first
from modelcli.loading.device import DTYPES
from modelcli.loading.example import ExampleInputs, with_batch_size, with_values
from modelcli.loading.example import on_meta as to_meta
from modelcli.loading.inference import needs_values
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source
from modelcli.loading.types import Attempt, InputRequest
from modelcli.modules import modules_of, move, named_modules, parameters_of, switch_mode
from modelcli.nested import map_tensors, tensors_in
from modelcli.planning.batches import Passes
from modelcli.planning.checkpointing import checkpointed, match_modules
from modelcli.planning.loss import make_loss
from modelcli.planning.optimizer import describe_optimizer, planned_optimizer
from modelcli.planning.options import MemoryOptions
from modelcli.planning.report import Facts, make_record
from modelcli.planning.step import (
    Paths,
    Recorded,
    Step,
    record_inference,
    record_training,
)
from modelcli.training.run.model import check_trainable


def plan_memory(
    source: Source,
    request: InputRequest,
    options: MemoryOptions,
    *,
    inputs: ExampleInputs | None = None,
) -> MemoryRecord:
    """Tell what a step of training and a pass of inference take, without allocating it.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        options: which passes, and what is asked of them.
        inputs: what to run on, in place of what the request or the model says.

    Returns:
        The record. A forward that raised is in its ``failure``, with the numbers up to there.

    Raises:
        UsageError: inputs, a loss, an optimiser or a pattern that do not fit the model.
        RunFailedError: the constructor raised.
    """
    with isolated(source.folder):
        if options.execution == "real":
            return Subject(source, request, options, inputs, on_meta=False).record()
        subject = Subject(source, request, options, inputs)
        record = subject.record()
        if record.failure is None or not subject.may_run_for_real():
            return record
        attempts = subject.attempts
        return Subject(source, request, options, inputs, on_meta=False, attempts=attempts).record()


@contextlib.contextmanager
def open_passes(source: Source, request: InputRequest, options: MemoryOptions) -> Iterator[Passes]:
    """Yield what makes passes of a model on meta, for whoever wants their ledgers."""
    with isolated(source.folder):
        yield Subject(source, request, options, None).passes([])


class Subject:
    """A model with its inputs, on meta or for real, and the passes that are made of it."""

    def __init__(
        self,
        source: Source,
        request: InputRequest,
        options: MemoryOptions,
        inputs: ExampleInputs | None,
        *,
        on_meta: bool = True,
        attempts: list[Attempt] | None = None,
    ) -> None:
        self.source = source
        self.options = options
        self.attempts = [] if attempts is None else attempts
        self.error: BaseException | None = None
        guard = None if options.allow_real else DEFAULT_GUARD_BYTES
        if on_meta:
            model, rung = build_first(source, guard_bytes=guard, attempts=self.attempts)
        else:
            rung = "real"
            model = build(
                source, execution="real", seed=0, guard_bytes=guard, attempts=self.attempts
            )
        self.is_on_meta = rung == "meta"
        self.model = switch_mode(model, False)
        found = inputs or find_inputs(source, self.model, request, training=False)
        found = to_meta(found) if self.is_on_meta else with_values(found, torch.device("cpu"))
        self.inputs = self._cast(found)
        if options.dtype is not None:
            move(self.model, dtype=DTYPES[options.dtype])
        device = options.device if self.is_on_meta else "cpu"
        self.paths = Paths(
            on_meta=self.is_on_meta, device=device, attention=options.attention,
            answers=self.is_on_meta and _is_of_transformers(self.model),
        )  # fmt: skip
        self.checkpointed = match_modules(self.model, options.checkpoint)
        self.implementation = ""

    def record(self) -> MemoryRecord:
        """Return the record."""
        remarks = list(self.inputs.remarks)
        if not self.is_on_meta:
            said = [a.reason for a in self.attempts if a.stage != "note"]
            why = f": on meta, {said[0]}" if said else ""
            remarks.append(f"ran for real, by the CPU's kernels{why}")
        passes = self.passes(remarks)
        return make_record(self._facts(), passes, remarks)

    def passes(self, remarks: list[str]) -> Passes:
        """Return what makes passes; ``remarks`` get why there is no training."""
        return Passes(self.options, self.inference_pass, self._training_or_none(remarks))

    def may_run_for_real(self) -> bool:
        """Tell whether meta was to blame for a failure."""
        tried = not self.is_on_meta or self.options.execution == "meta"
        if tried or self.error is None or not needs_values(self.error):
            return False
        reason = describe(self.error)
        self.attempts.append(Attempt(execution="meta", stage="forward", reason=reason))
        return True

    def _training_or_none(self, remarks: list[str]) -> Callable[[int | None], Recorded] | None:
        if self.options.mode == "eval":
            return None
        try:
            check_trainable(self.source, self.model)
        except UsageError as error:
            if self.options.mode == "train":
                raise
            remarks.append(f"{error.message}: inference only")
            return None
        return self.training_pass

    def inference_pass(self, batch_size: int | None) -> Recorded:
        """Record a pass of inference."""
        switch_mode(self.model, False)
        return self._noted(record_inference(self.model, self._batch(batch_size), self.paths))

    def training_pass(self, batch_size: int | None) -> Recorded:
        """Record steps of training."""
        switch_mode(self.model, True)
        inputs = self._batch(batch_size)
        tensors = list(tensors_in((inputs.args, dict(inputs.kwargs))))
        step = Step(
            make_loss=lambda output: make_loss(
                self.options.loss, output, spec=self.source.spec, inputs=tensors
            ),
            make_optimizer=self.make_optimizer(),
            micro_batches=min(self.options.accumulate, 2),  # a third is as the second
            zero_grad=self.options.zero_grad,
        )
        try:
            with checkpointed(self.model, self.checkpointed):
                return self._noted(record_training(self.model, inputs, step, self.paths))
        finally:
            for parameter in parameters_of(self.model):
                parameter.grad = None

    def make_optimizer(self) -> Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer] | None:
        """Return what builds the optimiser of ``train``; None where no step is taken."""
        config = self.options.optimizer
        if config is None:
            return None
        make = planned_optimizer(config, self.paths.device)

        def noted(params: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
            made = make(params)
            self.implementation = describe_optimizer(made)
            return made

        return noted

    def _noted(self, recorded: Recorded) -> Recorded:
        self.error = self.error or recorded.error
        return recorded

    def _batch(self, batch_size: int | None) -> ExampleInputs:
        return with_batch_size(self.inputs, batch_size)

    def _cast(self, inputs: ExampleInputs) -> ExampleInputs:
        if self.options.dtype is None:
            return inputs
        dtype = DTYPES[self.options.dtype]

        def cast(tensor: Tensor) -> Tensor:
            return tensor.to(dtype) if tensor.is_floating_point() else tensor

        return dataclasses.replace(
            inputs,
            args=map_tensors(inputs.args, cast),
            kwargs=map_tensors(dict(inputs.kwargs), cast),
            records=tuple(
                dataclasses.replace(each, dtype=self.options.dtype) if each.is_floating else each
                for each in inputs.records
            ),
        )

    def _facts(self) -> Facts:
        floats = {p.dtype for p in parameters_of(self.model) if p.is_floating_point()}
        names = sorted(str(dtype).removeprefix("torch.") for dtype in floats)
        return Facts(
            model_type=type(self.model).__name__,
            modules=tuple((path, type(each).__name__) for path, each in named_modules(self.model)),
            recurrent=frozenset(
                path for path, each in named_modules(self.model) if isinstance(each, nn.RNNBase)
            ),
            inputs_at=lambda batch: self._batch(batch).records,
            attempts=tuple(self.attempts),
            execution="meta" if self.is_on_meta else "real",
            device=self.paths.device,
            dtype=" and ".join(names) or None,
            checkpointed=self.checkpointed,
            implementation=lambda: self.implementation,
        )


def _is_of_transformers(model: nn.Module) -> bool:
    """Tell whether the masks of a model are made by transformers, which asks what they hide."""
    return any(type(each).__module__.startswith("transformers.") for each in modules_of(model))


__all__ = ["open_passes", "plan_memory"]

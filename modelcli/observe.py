"""The one road of every inspecting command: a target and options in, a Trace out."""

from __future__ import annotations

import dataclasses
import math
import re

import torch
from torch import nn

from modelcli.errors import RunFailedError, UnavailableError, describe
from modelcli.isolation import isolated, one_thread
from modelcli.loading.build import (
    DEFAULT_GUARD_BYTES,
    MemoryGuardError,
    build,
    build_first,
    to_fake,
)
from modelcli.loading.elsewhere import noting_absent
from modelcli.loading.example import ExampleInputs, on_meta, with_values
from modelcli.loading.indices import kept_indices
from modelcli.loading.inference import needs_values, wants_gradients
from modelcli.loading.inputs import find_inputs
from modelcli.loading.method import call_by
from modelcli.loading.source import Source
from modelcli.loading.types import Attempt, Execution, InputRequest, Mode
from modelcli.modules import set_mode
from modelcli.tracing.assemble import make_trace
from modelcli.tracing.confirm import confirms, is_cheap
from modelcli.tracing.record import Trace
from modelcli.tracing.sparse import TOLD_BY_VALUES
from modelcli.tracing.tracer import observe_pass

# A small model with an input below it runs sooner for real than on meta, whose first operation
# costs a quarter of a second of imports.
_SMALL_INPUT_NUMEL = 1_000_000
# A failure that does not look like meta's fault is tried for real if that costs next to nothing.
_CHEAP_BYTES = 200 * 1000**2
# What no device has: a CPU lacks kernels of half precision, but none of these.
_FOR_NO_KERNEL = re.compile(
    r"not implemented for '(Float|Double|Long|Bool|ComplexFloat|ComplexDouble)'"
    r"|not supported for complex"
)


def observe(
    source: Source,
    request: InputRequest | None = None,
    *,
    mode: Mode = "eval",
    backward: bool = False,
    execution: Execution | None = None,
    allow_real: bool = False,
    inputs: ExampleInputs | None = None,
) -> Trace:
    """Build a model, run it once under observation, and return what was seen.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        mode: the training flag during the pass.
        backward: also run the backward pass.
        execution: insist on one rung of the ladder; None takes the first that holds.
        allow_real: lift the memory guard of a real run.
        inputs: what to run on, in place of what the request or the model says.

    Returns:
        The trace. A forward that raised is in ``Trace.failure``, with the rows up to there.

    Raises:
        RunFailedError: the constructor raised, or an instance cannot be copied.
        UsageError: the inputs do not fit ``forward``, or a real run would exceed the guard.
    """
    ladder = _Ladder(source, request or InputRequest(), mode, backward, allow_real)
    ladder.given = inputs
    with isolated(source.folder), noting_absent() as ladder.absent:
        return ladder.climb(execution)


class _Ladder:
    """One climb: the rungs that were tried and what they gave."""

    def __init__(
        self, source: Source, request: InputRequest, mode: Mode, backward: bool, allow_real: bool
    ) -> None:
        self.source = source
        self.request = request
        self.mode = mode
        self.backward = backward
        self.guard_bytes = None if allow_real else DEFAULT_GUARD_BYTES
        self.attempts: list[Attempt] = []
        self.absent: set[str] = set()
        self.given: ExampleInputs | None = None
        self.inputs: ExampleInputs | None = None

    def climb(self, execution: Execution | None) -> Trace:
        if execution is None and self._is_known_small():
            with one_thread():
                return self._run_real()
        if execution == "real":
            return self._run_real()
        if execution is not None:
            meta = build(self.source, execution="meta", attempts=self.attempts)
        else:
            meta, rung = build_first(
                self.source, guard_bytes=self.guard_bytes, attempts=self.attempts
            )
            if rung == "real":
                return self._run_built(self._prepared(meta))
        meta = self._prepared(meta)
        self.inputs = self._find_inputs(meta)
        if execution == "fake":
            return self._run_fake(meta)
        trace, error = self._run(meta, self.inputs, "meta")
        if execution == "meta":
            return trace
        if error is not None:
            trace = self._fall_back(trace, error)
            return trace if trace.execution == "real" else self._with_what_values_tell(trace)
        trace = self._with_what_values_tell(trace)
        return trace if trace.execution != "meta" else self._confirmed(trace, meta)

    def _confirmed(self, trace: Trace, meta: nn.Module) -> Trace:
        """Return what a real run shows, where it is cheap and torch refuses what meta let pass."""
        if self.backward or self.absent or not is_cheap(trace):
            return trace
        inputs = self._real_inputs()
        if confirms(meta, inputs.args, inputs.kwargs, trace.output_shapes):
            return trace
        real, error = self._try_real()  # with the weights that the constructor gives
        if real is None or (error is not None and _may_be_ours(error)):
            return trace
        if error is None and real.output_shapes == trace.output_shapes:
            return trace
        told = "torch refuses what meta lets pass" if error else "meta gives other shapes"
        return dataclasses.replace(real, remarks=(*real.remarks, f"ran for real: {told}"))

    def _with_what_values_tell(self, trace: Trace) -> Trace:
        """Run for real what only its values tell the cost of, if that costs next to nothing."""
        reasons = [text for text in trace.coverage.reasons.values() if text in TOLD_BY_VALUES]
        if not reasons or not self._is_cheap(trace):
            return trace
        real, error = self._try_real()
        if real is None or error is not None:
            return trace
        return dataclasses.replace(real, remarks=(*real.remarks, f"ran for real: {reasons[0]}"))

    def _is_cheap(self, trace: Trace) -> bool:
        param_bytes = trace.totals.param_bytes + trace.totals.buffer_bytes
        return param_bytes <= _CHEAP_BYTES and self._inputs_are_small()

    def _fall_back(self, trace: Trace, error: BaseException) -> Trace:
        """Go on to the rungs with values, if the failure may be meta's."""
        self._note("meta", error)
        param_bytes = trace.totals.param_bytes + trace.totals.buffer_bytes
        if not needs_values(error):
            if not self._is_cheap(trace):
                return trace
            real, real_error = self._try_real()
            return real if real is not None and real_error is None else trace
        kept = self._try_with_indices()
        if kept is not None and kept.failure is None:
            return kept
        fake = self._try_fake()
        if fake is not None and fake.failure is None:
            return fake
        if self.guard_bytes is not None and param_bytes > self.guard_bytes:
            if kept is not None:
                return kept
            raise MemoryGuardError(param_bytes, self.guard_bytes, self.attempts)
        return self._run_real()

    def _try_real(self) -> tuple[Trace | None, BaseException | None]:
        try:
            model = self._prepared(build(self.source, execution="real", seed=0))
        except (RunFailedError, MemoryGuardError, UnavailableError) as error:
            return None, error
        return self._run(model, self._real_inputs(), "real")

    def _try_with_indices(self) -> Trace | None:
        """Run on meta once more, with the values of indices; None where those do not do."""
        assert self.inputs is not None
        try:
            model = self._prepared(build(self.source, execution="meta"))
        except RunFailedError:
            return None
        with kept_indices() as chosen:
            trace, error = self._run(model, self.inputs, "meta")
        if error is not None and needs_values(error):
            return None
        if not chosen:
            return trace
        spread = f"what {' and '.join(sorted(chosen))} choose is spread evenly: there are no values"
        return dataclasses.replace(trace, remarks=(*trace.remarks, spread))

    def _try_fake(self) -> Trace | None:
        try:
            return self._run_fake(build(self.source, execution="meta"))
        except RunFailedError:
            return None

    def _run_fake(self, meta: nn.Module) -> Trace:
        from torch._subclasses.fake_tensor import FakeTensorMode

        assert self.inputs is not None
        fake_mode = FakeTensorMode(allow_non_fake_inputs=True)
        try:
            model = self._prepared(to_fake(meta, fake_mode))
            with fake_mode:
                inputs = with_values(self.inputs, torch.device("cpu"))
        except (RuntimeError, TypeError, NotImplementedError) as error:
            reason = describe(error)  # lazy, sparse, nested and wrapping tensors have no fake twin
            self.attempts.append(Attempt(execution="fake", stage="build", reason=reason))
            raise RunFailedError(
                f"'{self.source.label}' has tensors that cannot be faked: {reason}",
                "--execution meta or real may run it",
            ) from error
        with fake_mode:
            trace, failure = self._run(model, inputs, "fake")
        if failure is not None:
            self._note("fake", failure)
        return trace

    def _run_real(self) -> Trace:
        return self._run_built(
            self._prepared(
                build(
                    self.source, execution="real", seed=0, guard_bytes=self.guard_bytes,
                    attempts=self.attempts,
                )
            )
        )  # fmt: skip

    def _run_built(self, model: nn.Module) -> Trace:
        if self.inputs is None:
            self.inputs = self._find_inputs(model)
        return self._run(model, self._real_inputs(), "real")[0]

    def _real_inputs(self) -> ExampleInputs:
        assert self.inputs is not None
        return with_values(self.given or self.inputs, torch.device("cpu"))

    def _run(
        self, model: nn.Module, inputs: ExampleInputs, execution: Execution
    ) -> tuple[Trace, BaseException | None]:
        args, kwargs, on_meta = inputs.args, dict(inputs.kwargs), execution == "meta"
        seen = observe_pass(model, args, kwargs, on_meta=on_meta, backward=self.backward)
        if seen.error is not None and wants_gradients(seen.error):
            seen = observe_pass(
                model, args, kwargs, on_meta=on_meta, backward=self.backward, grad=True
            )
        trace = make_trace(model, seen, inputs.records, execution=execution, mode=self.mode)
        remarks = (*trace.remarks, *inputs.remarks, *self._remarks(execution))
        return (
            dataclasses.replace(trace, attempts=tuple(self.attempts), remarks=remarks),
            seen.error,
        )

    def _find_inputs(self, model: nn.Module) -> ExampleInputs:
        if self.given is not None:
            return on_meta(self.given)
        return find_inputs(self.source, model, self.request, training=self.mode == "train")

    def _prepared(self, model: nn.Module) -> nn.Module:
        # A scripted module cannot be built in one mode and put into another piecemeal.
        return set_mode(call_by(model, self.source.method), self.mode == "train")

    def _is_known_small(self) -> bool:
        spec = self.source.spec
        if spec is None or not self.source.is_small:
            return False
        numel = max(1, self.request.batch_size or 1)
        for size in spec.input_shape:
            numel *= size
        for given in self.request.specs:
            numel = max(numel, math.prod(given.shape))
        return numel <= _SMALL_INPUT_NUMEL

    def _inputs_are_small(self) -> bool:
        records = self.inputs.records if self.inputs is not None else ()
        return all(math.prod(record.shape) <= _SMALL_INPUT_NUMEL for record in records)

    def _note(self, execution: str, error: BaseException) -> None:
        self.attempts.append(Attempt(execution=execution, stage="forward", reason=describe(error)))

    def _remarks(self, execution: Execution) -> tuple[str, ...]:
        failed = [attempt for attempt in self.attempts if attempt.stage != "note"]
        if execution == "real" and failed:
            return (f"ran for real, with memory: on meta, {failed[0].reason}",)
        if execution == "meta" and self.absent:
            asked = " and ".join(sorted(self.absent))
            return (f"it asks for {asked}, which is not here: described on meta",)
        return ()


def _may_be_ours(error: BaseException) -> bool:
    """Tell whether a real run may have failed for want of what meta can do without."""
    text = f"{type(error).__name__} {error}"
    if _FOR_NO_KERNEL.search(text):
        return False
    words = ("cuda", "gpu", "triton", "compile", "meta", "not implemented for", "memory")
    is_absent = isinstance(error, (ImportError, NotImplementedError))
    return is_absent or any(word in text.lower() for word in words)

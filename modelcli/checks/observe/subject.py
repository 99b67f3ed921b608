"""What is known of a model without values: how it is built, its inputs, one observed pass."""

from __future__ import annotations

import dataclasses

from torch import nn

from modelcli.checks.observe.attributes import Hidden, find_hidden
from modelcli.checks.observe.chain import Chain
from modelcli.checks.observe.lazy import lazy
from modelcli.checks.observe.refused_input import raises_for_every_input
from modelcli.checks.record import CannotRun, Options
from modelcli.errors import RunFailedError, UsageError
from modelcli.loading.build import build, build_first, unwrap
from modelcli.loading.example import ExampleInputs
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest
from modelcli.observe import observe
from modelcli.tracing.record import Failure, Trace


class Subject:
    """One model under check.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        options: what the user asked for.
    """

    def __init__(self, source: Source, request: InputRequest, options: Options) -> None:
        self.source = source
        self.request = request
        self.options = options

    @lazy
    def built(self) -> nn.Module:
        """The model as its constructor left it; on meta unless it is small. Only to be read.

        Raises:
            BuildError: the constructor raised.
        """
        if self.source.instance is not None:
            return unwrap(self.source.instance)
        if self.is_small:
            return self.build(seed=0)
        return build_first(self.source, guard_bytes=None)[0]

    def build(self, *, seed: int) -> nn.Module:
        """Return a private model with values.

        Raises:
            BuildError: the constructor raised.
            RunFailedError: an instance cannot be copied.
        """
        return build(self.source, execution="real", seed=seed, guard_bytes=None)

    @property
    def is_small(self) -> bool:
        """Whether the model may run for real at once."""
        return self.source.is_small

    @lazy
    def hidden(self) -> tuple[Hidden, ...]:
        """Modules and tensors in plain attributes of the built model."""
        return find_hidden(self.built)

    @lazy
    def inputs(self) -> ExampleInputs:
        """Example inputs, floats on meta.

        Raises:
            UsageError: none could be inferred.
        """
        return find_inputs(self.source, self.built, self.request)

    @property
    def is_guessed(self) -> bool:
        """Whether shapes of inputs are our own choice: nobody gave them, and no model names them.

        Raises:
            UsageError: none could be inferred.
        """
        return any(record.origin.startswith("inferred") for record in self.inputs.records)

    @lazy
    def trace(self) -> Trace:
        """One observed pass in eval mode, which may have failed."""
        return observe(self.source, self._settled, allow_real=self.options.allow_real)

    @lazy
    def train_trace(self) -> Trace:
        """One observed pass in train mode, which may have failed."""
        return observe(self.source, self._settled, mode="train", allow_real=self.options.allow_real)

    @lazy
    def _settled(self) -> InputRequest:
        """The request, with inputs that were inferred written into it: inferring takes time."""
        inputs = self.inputs
        if self.request.specs or not all(r.origin.startswith("inferred") for r in inputs.records):
            return self.request
        specs = tuple(record.spec() for record in inputs.records)
        if len(specs) == 1:
            specs = (dataclasses.replace(specs[0], name=None),)
        return InputRequest(specs=specs, kwargs=self.request.kwargs)

    @lazy
    def ran(self) -> Trace:
        """The observed pass, if it ran through.

        Raises:
            CannotRun: the forward raised.
        """
        if self.failure is not None:
            raise CannotRun("the forward pass failed (MC002)")
        return self.trace

    @property
    def failure(self) -> Failure | None:
        """Where the observed pass stopped, if it did.

        Raises:
            CannotRun: there was none.
        """
        try:
            return self.trace.failure
        except RunFailedError as error:
            raise CannotRun(f"the model did not run: {error.message}") from error
        except UsageError as error:
            if not raises_for_every_input(error):
                raise  # the user's input does not fit, which is no fault of the model
            raise CannotRun("the forward pass failed (MC002)") from error

    @lazy
    def chain(self) -> Chain:
        """Who feeds whom among the calls of the observed pass."""
        return Chain(self.ran.calls)

"""What is timed: a model with its inputs on a device, and one pass of it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.benchmark import timer as synchronized_clock

from modelcli.errors import RunFailedError, UsageError, describe
from modelcli.loading.device import DTYPES
from modelcli.loading.example import ExampleInputs
from modelcli.modules import move
from modelcli.nested import map_tensors
from modelcli.timing.engines import captured, compiled, refuse_compiling
from modelcli.training.engine.step import AMP_DTYPES

Context = Callable[[], contextlib.AbstractContextManager[Any]]


class Subject(Protocol):
    """Something that can be timed.

    Attributes:
        run: one pass, or one step.
        gradients: ``inference_mode``, ``no_grad`` or ``on``.
        first_s: seconds of the very first pass, on a cold machine.
    """

    run: Callable[[], Any]
    gradients: str
    first_s: float

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return what every pass runs in."""

    def forward(self) -> Any:
        """Run the forward pass alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Which element types a pass uses.

    Attributes:
        dtype: of the weights and floating inputs; None leaves them as they are.
        amp: ``off``, ``bf16`` or ``fp16``.
    """

    dtype: str | None = None
    amp: str = "off"

    def of(self, model_dtype: torch.dtype) -> torch.dtype:
        """Return the dtype of the products of a model."""
        if self.amp != "off":
            return AMP_DTYPES[self.amp]
        return DTYPES[self.dtype] if self.dtype is not None else model_dtype

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        """Return the context of the forward pass."""
        if self.amp == "off":
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=AMP_DTYPES[self.amp])


def cast_model(model: nn.Module, precision: Precision) -> nn.Module:
    """Turn the floating tensors of a model of our own to the dtype that was asked for."""
    return model if precision.dtype is None else move(model, dtype=DTYPES[precision.dtype])


def cast_inputs(inputs: ExampleInputs, precision: Precision) -> ExampleInputs:
    """Return inputs whose floating tensors have the dtype that was asked for."""
    if precision.dtype is None:
        return inputs
    kind = DTYPES[precision.dtype]

    def cast(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(kind) if tensor.is_floating_point() else tensor

    records = tuple(
        dataclasses.replace(each, dtype=precision.dtype) if each.is_floating else each
        for each in inputs.records
    )
    args, kwargs = map_tensors((inputs.args, dict(inputs.kwargs)), cast)
    return dataclasses.replace(inputs, args=args, kwargs=kwargs, records=records)


# The cheapest first: views and counters of autograd cost 1 to 4 % under no_grad, and 10 to 23 %
# with gradients on. A forward that refuses the first takes the next.
_CONTEXTS: dict[str, Context] = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "on": torch.enable_grad,
}


class Forward:
    """The forward pass of a model in evaluation.

    Args:
        model: on its device, in its mode.
        inputs: with values, on the device.
        label: of the model, for messages.
        precision: what the pass is cast to.
        device: where it runs.
        engine: ``eager``, ``compile`` or ``graph``.

    Raises:
        RunFailedError: the forward raised, whatever it was run under.
        UnavailableError: there is no compiler.
        UsageError: the pass cannot be captured.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: ExampleInputs,
        *,
        label: str,
        precision: Precision,
        device: torch.device,
        engine: str = "eager",
    ) -> None:
        self._precision = precision
        self._device = device
        args, kwargs = inputs.args, dict(inputs.kwargs)
        self.run: Callable[[], Any] = lambda: model(*args, **kwargs)
        self.gradients = self._find_context(label)
        if engine == "compile":
            call = compiled(model)
            self.run = lambda: call(*args, **kwargs)
            self._try_compiled(label)
        elif engine == "graph":
            with self.context():
                self.run = captured(self.run, device)

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return what every pass runs in."""
        stack = contextlib.ExitStack()
        stack.enter_context(_CONTEXTS[self.gradients]())
        stack.enter_context(self._precision.autocast(self._device))
        return stack

    def forward(self) -> Any:
        """Run one pass."""
        return self.run()

    def _try_compiled(self, label: str) -> None:
        try:
            with self.context():
                self.first_s = seconds_of(self.run)
        except Exception as error:  # of the compiler, of what it calls
            raise refuse_compiling(label, error) from error

    def _find_context(self, label: str) -> str:
        first: Exception | None = None
        for self.gradients in _CONTEXTS:
            try:
                with self.context():
                    self.first_s = seconds_of(self.run)
            except (Exception, SystemExit) as error:  # whatever the user's forward raises
                if first is None:
                    first = error if isinstance(error, Exception) else RuntimeError(str(error))
            else:
                return self.gradients
        assert first is not None  # there is at least one context
        raise failed_pass(label, first) from first


def seconds_of(run: Callable[[], Any]) -> float:
    """Return how long one pass takes, an accelerator waited for."""
    began = synchronized_clock()
    run()
    return synchronized_clock() - began


def failed_pass(label: str, error: BaseException) -> RunFailedError | UsageError:
    """Return what is told of a pass that raised."""
    return RunFailedError(
        f"a pass of '{label}' failed: {describe(error)}",
        f"'modelcli summary {label}' shows the layers up to it; --input gives another shape",
    )

"""Steps of training and passes of inference under the recorder of memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from modelcli.errors import ModelcliError, describe
from modelcli.isolation import collection_off
from modelcli.loading.example import ExampleInputs
from modelcli.loading.meta import call_on_meta
from modelcli.modules import named_parameters, parameters_of
from modelcli.planning.loss import StepLoss
from modelcli.planning.optimizer import fused_on_meta
from modelcli.tracing.device_paths import Attention, Device, device_paths
from modelcli.tracing.memory import Recorder
from modelcli.tracing.memory_record import Ledger
from modelcli.tracing.record import Failure

ZeroGrad = Literal["before-backward", "after-step"]
STEPS = 2  # the second has the optimiser's state in it from the beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Whose kernels a pass takes.

    Attributes:
        on_meta: the model has no storage; False runs it for real, by the CPU's kernels.
        answers: say yes where a library asks whether a mask hides nothing.
    """

    on_meta: bool = True
    device: Device = "cuda"
    attention: Attention = "auto"
    answers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of training.

    Attributes:
        make_loss: from the first output to the loss and its targets.
        make_optimizer: from the parameters to be trained to their optimiser; None takes no step.
        micro_batches: forward and backward passes whose gradients are added up for one step.
        zero_grad: where the gradients are let go.
    """

    make_loss: Callable[[Any], StepLoss]
    make_optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer] | None
    micro_batches: int = 1
    zero_grad: ZeroGrad = "after-step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A ledger, the exception that ended it early, and what the loss was called."""

    ledger: Ledger
    error: BaseException | None = None
    loss: str = ""


def record_inference(model: nn.Module, inputs: ExampleInputs, paths: Paths) -> Recorded:
    """Run a model of our own once without gradients."""
    recorder = Recorder(model, host_counts=_host_counts(paths), answers=paths.answers)
    recorder.declare((inputs.args, dict(inputs.kwargs)), "input")

    def run() -> None:
        recorder.enter("forward")
        with torch.no_grad():
            output = model(*inputs.args, **inputs.kwargs)
        recorder.enter("end")
        del output

    ledger, error = _watched(recorder, paths, run)
    return Recorded(ledger=ledger, error=error)


def record_training(
    model: nn.Module, inputs: ExampleInputs, step: Step, paths: Paths, *, steps: int = STEPS
) -> Recorded:
    """Run steps of training on a model of our own; the last is how it goes on."""
    recorder = Recorder(model, host_counts=_host_counts(paths), answers=paths.answers)
    recorder.declare((inputs.args, dict(inputs.kwargs)), "input")
    taken = _Training(model, inputs, step, recorder)
    ledger, error = _watched(recorder, paths, lambda: taken.run(steps))
    return Recorded(ledger=ledger, error=error, loss=taken.loss_name)


class _Training:
    """The loop that everybody writes: the last output and loss live until the next ones."""

    def __init__(
        self, model: nn.Module, inputs: ExampleInputs, step: Step, recorder: Recorder
    ) -> None:
        self._model = model
        self._inputs = inputs
        self._step = step
        self._recorder = recorder
        self._params = [p for p in parameters_of(model) if p.requires_grad]
        self._loss: StepLoss | None = None
        self._output: Any = None
        self._value: Tensor | None = None
        self._optimizer: torch.optim.Optimizer | None = None  # it outlives the last step

    @property
    def loss_name(self) -> str:
        return self._loss.name if self._loss is not None else ""

    def run(self, steps: int) -> None:
        recorder, step = self._recorder, self._step
        make = step.make_optimizer
        optimizer = make(self._params) if make is not None and self._params else None
        self._optimizer = optimizer
        for number in range(1, steps + 1):
            for micro in range(step.micro_batches):
                self._pass(number, is_first=micro == 0)
            recorder.enter("optimizer", number)
            if optimizer is not None:
                optimizer.step()
                self._declare_state(optimizer)
            recorder.enter("end", number)
            if step.zero_grad == "after-step":
                self._let_go()

    def _pass(self, number: int, *, is_first: bool) -> None:
        recorder = self._recorder
        recorder.enter("forward", number)
        with recorder.saving():
            self._output = self._model(*self._inputs.args, **self._inputs.kwargs)
            recorder.enter("loss", number)
            if self._loss is None:
                self._loss = self._step.make_loss(self._output)
                recorder.declare(self._loss.targets, "input")
            self._value = self._loss.compute(self._output)
            if self._step.micro_batches > 1:
                self._value = self._value / self._step.micro_batches
        if is_first and self._step.zero_grad == "before-backward":
            self._let_go()
        recorder.enter("backward", number)
        self._value.backward()  # type: ignore[no-untyped-call]
        for name, param in named_parameters(self._model):
            if param.grad is not None:
                recorder.declare(param.grad, "gradient", name.rpartition(".")[0])

    def _let_go(self) -> None:
        for param in self._params:  # what zero_grad does
            param.grad = None

    def _declare_state(self, optimizer: torch.optim.Optimizer) -> None:
        owners = {id(p): name.rpartition(".")[0] for name, p in named_parameters(self._model)}
        for param, state in optimizer.state.items():
            tensors = [value for value in state.values() if isinstance(value, Tensor)]
            self._recorder.declare(tensors, "state", owners.get(id(param), ""))


def _watched(
    recorder: Recorder, paths: Paths, run: Callable[[], None]
) -> tuple[Ledger, BaseException | None]:
    """Run under the recorder; an exception of the model's ends up in the ledger.

    Raises:
        ModelcliError: a mistake of the user's, as a loss that does not fit.
    """
    failure: Failure | None = None
    found: BaseException | None = None
    taken: dict[str, int] = {}
    with collection_off(), contextlib.ExitStack() as stack:
        if paths.on_meta:
            taken = stack.enter_context(device_paths(paths.device, paths.attention))
            stack.enter_context(fused_on_meta())
            stack.enter_context(OnMeta())
        try:
            with recorder.watching():
                run()
        except ModelcliError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's forward raises
            found = error.with_traceback(None)
            failure = Failure(
                path=recorder.failed_at or "",
                type=type(error).__name__,
                message=describe(error).partition(": ")[2],
            )
    return recorder.finish(attention=taken, failure=failure), found


class OnMeta(TorchFunctionMode):
    """Keep devices from mixing where a model on meta meets ids with values."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one torch function."""
        return call_on_meta(func, args, kwargs or {})


def _host_counts(paths: Paths) -> bool:
    return not paths.on_meta or paths.device == "cpu"

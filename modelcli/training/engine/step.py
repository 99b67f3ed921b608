"""One training step: zeroing, forward, loss, backward, clipping, update."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from modelcli.training.data.tensors import Split, Tensors
from modelcli.training.distributed.world import ALONE, World
from modelcli.training.objective import Objective, float_tensors

AMP_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NonFiniteLossError(Exception):
    """The loss of a batch is not finite.

    Args:
        value: the loss.
        batch: what it was computed from.
        step: of that batch, where it is found out only after later updates; None for the step
            that is under way, whose update has not been made.
    """

    def __init__(self, value: float, batch: Split, *, step: int | None = None) -> None:
        super().__init__(value)
        self.value = value
        self.batch = batch
        self.step = step


@dataclass(slots=True, kw_only=True)
class Learner:
    """What a step works on.

    Attributes:
        model: in training mode.
        call: runs the model on the inputs of a batch.
        params: those that are trained.
        amp: ``off``, ``bf16`` or ``fp16``.
        clip: largest norm of all gradients together, or None.
        scaler: scales the loss for fp16, or None.
        grad_norm: of all gradients together in the last update, before clipping; None without.
        world: the processes that train it together.
    """

    model: nn.Module
    call: Callable[[nn.Module, Tensors], Any]
    objective: Objective
    optimizer: torch.optim.Optimizer
    params: list[nn.Parameter]
    device: torch.device
    amp: str = "off"
    clip: float | None = None
    scaler: Any = None
    grad_norm: Tensor | None = None
    world: World = ALONE

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the forward pass runs."""
        if self.amp == "off":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=AMP_DTYPES[self.amp])

    def forward(self, batch: Split) -> tuple[Any, Tensor]:
        """Return the model's output for a batch, and its loss."""
        with self.autocast():
            output = self.call(self.model, batch.inputs)
            return output, self.objective.loss(output, batch.targets)

    def forward_outputs(self, batch: Split) -> Tensor:
        """Return the first floating-point tensor of the model's output, without its graph."""
        with self.autocast():
            return first_tensor(self.call(self.model, batch.inputs))

    def update(self) -> None:
        """Clip the gradients and step the optimiser."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)  # or fused optimisers leave gradients scaled
        if self.clip is not None:
            self.grad_norm = nn.utils.clip_grad_norm_(self.params, self.clip)
        if self.scaler is None:
            self.optimizer.step()
            return
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def clip_factor(self) -> float:
        """Return what the gradients of the last update were multiplied by to clip them."""
        if self.clip is None or self.grad_norm is None:
            return 1.0
        # as torch.nn.utils.clip_grads_with_norm_ has it
        return min(1.0, self.clip / (float(self.grad_norm) + 1e-6))


class Engine(Protocol):
    """Runs steps.

    Attributes:
        output: the first tensor of the model's output for the last batch, detached.
    """

    output: Tensor | None

    @property
    def name(self) -> str:
        """Which engine this is."""

    @property
    def settling_steps(self) -> int:
        """Steps in which it does more than it will do later."""

    @property
    def peak_memory_bytes(self) -> int:
        """Most memory in use before it checked itself, which takes more; 0 if it does not."""

    def step(self, batches: Sequence[Split]) -> Tensor:
        """Take one optimiser step on one or more batches; return their mean loss, detached."""


class EagerEngine:
    """Runs every operation as Python comes to it.

    Args:
        learner: what to train.
        check: look at every loss before the update it leads to. On a CPU that costs nothing; on
            a device it would wait for the device at every step.
    """

    name = "eager"
    settling_steps = 1  # the first step warms everything up
    peak_memory_bytes = 0

    def __init__(self, learner: Learner, *, check: bool = False) -> None:
        self._learner = learner
        self._check = check
        self._forward = learner.forward
        self.output: Tensor | None = None

    def step(self, batches: Sequence[Split]) -> Tensor:
        """Take one step.

        Raises:
            NonFiniteLossError: the loss is not finite, and losses are looked at.
        """
        learner = self._learner
        for param in learner.params:  # what zero_grad does, without its 50 us of bookkeeping
            param.grad = None
        if len(batches) == 1:
            loss = self._backward(batches[0], 1)
        else:
            loss = torch.stack([self._backward(each, len(batches)) for each in batches]).mean()
        learner.update()
        return loss

    def _backward(self, batch: Split, parts: int) -> Tensor:
        output, loss = self._forward(batch)
        if self._check:
            value = loss.item()
            if not math.isfinite(value):
                raise NonFiniteLossError(value, batch)
        self.output = first_tensor(output)
        scaled = loss if parts == 1 else loss / parts
        if self._learner.scaler is not None:
            scaled = self._learner.scaler.scale(scaled)
        scaled.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def first_tensor(output: Any) -> Tensor:
    """Return the first floating-point tensor of an output without its graph.

    The graph would outlive its step, and the nodes at its leaves the stream that they were made on.
    """
    return (output if isinstance(output, Tensor) else float_tensors(output)[0]).detach()


def narrate_step(
    learner: Learner, batches: Sequence[Split], tell: Callable[[str], None]
) -> tuple[Tensor, Tensor]:
    """Take one eager step and tell what each part of it does; return the output and the loss."""
    params = learner.params
    without = sum(param.grad is None for param in params)
    tell(f"before: {without} of {len(params)} gradients are None")
    learner.optimizer.zero_grad(set_to_none=True)
    tell("zeroing: every gradient is None, so that nothing is added to the last step's")
    losses = []
    for batch in batches:
        output, loss = learner.forward(batch)
        shapes = " ".join(str(tuple(x.shape)) for x in batch.inputs)
        tell(f"forward: {shapes} -> {_described(output)}")
        tell(f"loss: {learner.objective.name} = {float(loss.detach()):.6g}")
        scaled = loss if len(batches) == 1 else loss / len(batches)
        if learner.scaler is not None:
            scaled = learner.scaler.scale(scaled)
        scaled.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    grads = [param.grad for param in params if param.grad is not None]
    norm = float(nn.utils.get_total_norm(grads)) if grads else 0.0
    if learner.scaler is not None:
        norm /= learner.scaler.get_scale()
    tell(f"backward: {len(grads)} of {len(params)} gradients, together of norm {norm:.4g}")
    before = [param.detach().clone() for param in params]
    learner.update()
    moved = max(float((p.detach() - b).abs().max()) for p, b in zip(params, before, strict=True))
    kind = type(learner.optimizer).__name__
    tell(
        f"step: {kind}, learning rate {_lr(learner.optimizer):g}; "
        f"no value moved by more than {moved:.4g}"
    )
    return first_tensor(output), losses[0] if len(losses) == 1 else torch.stack(losses).mean()


def _described(output: Any) -> str:
    return str(tuple(output.shape)) if isinstance(output, Tensor) else type(output).__name__


def _lr(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])

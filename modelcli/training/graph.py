"""The whole step as one CUDA graph: captured once, replayed from then on.

A replay launches every kernel of zeroing, forward, loss, backward, clipping and update at once,
where Python would send them one by one. It works on fixed memory: every batch is copied into the
tensors that were captured, and gradients, optimiser state and learning rate stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modelcli.training.data import Split
from modelcli.training.step import EagerEngine, Learner

WARM_UP_STEPS = 3  # real training steps, on a side stream, as capturing asks for
VERIFIED_REPLAYS = 2


class CaptureRefusedError(Exception):
    """The step cannot be captured; the message says why."""


def refuse_reason(learner: Learner, *, accumulate: int, schedule_is_constant: bool) -> str:
    """Return why a step cannot be captured at all, or ""."""
    if learner.device.type != "cuda":
        return f"graphs are CUDA's, and the device is {learner.device.type}"
    if accumulate > 1:
        return "a step of several batches is not captured"
    if learner.scaler is not None:
        return "fp16 loss scaling looks at the gradients from Python"
    if not schedule_is_constant and not _lr_is_tensor(learner.optimizer):
        kind = type(learner.optimizer).__name__
        return f"{kind} takes its learning rate from Python, and the schedule changes it"
    return ""


def _lr_is_tensor(optimizer: torch.optim.Optimizer) -> bool:
    return all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)


class GraphEngine:
    """Runs a step by replaying a graph; the first steps run eagerly and warm it up.

    Args:
        learner: what to train, with an optimiser that can be captured.
        verify: compare the first replays with eager steps from the same state.
        tolerance: largest relative difference that counts as equal; operations that add up in no
            fixed order differ in the last digits.
    """

    name = "graph"

    def __init__(self, learner: Learner, *, verify: bool = True, tolerance: float = 1e-3) -> None:
        self._learner = learner
        self._eager = EagerEngine(learner)
        self._to_verify = VERIFIED_REPLAYS if verify else 0
        self._tolerance = tolerance
        self._stream = torch.cuda.Stream(learner.device)  # type: ignore[no-untyped-call]
        self._taken = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._static: Split | None = None
        self._loss: Tensor | None = None
        self.output: Any = None

    def step(self, batches: Sequence[Split]) -> Tensor:
        """Take one step.

        Raises:
            CaptureRefusedError: capturing failed, or a replay differs from an eager step; the
                weights are those before the step.
        """
        batch = batches[0]
        if self._taken < WARM_UP_STEPS:
            self._taken += 1
            return self._warm_up(batch)
        if self._graph is None:
            self._capture(batch)
        if self._to_verify:
            self._to_verify -= 1
            return self._verified(batch)
        return self._replay(batch)

    def _load(self, batch: Split) -> Split:
        """Copy a batch into the captured tensors."""
        if self._static is None:
            inputs = tuple(tensor.clone() for tensor in batch.inputs)
            same = batch.targets is batch.inputs
            targets = inputs if same else tuple(tensor.clone() for tensor in batch.targets)
            self._static = Split(inputs=inputs, targets=targets)
            return self._static
        pairs = [(self._static.inputs, batch.inputs)]
        if self._static.targets is not self._static.inputs:
            pairs.append((self._static.targets, batch.targets))
        for static, fresh in pairs:
            for to, tensor in zip(static, fresh, strict=True):
                to.copy_(tensor, non_blocking=True)
        return self._static

    def _warm_up(self, batch: Split) -> Tensor:
        static = self._load(batch)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = self._eager.step([static])
        torch.cuda.current_stream().wait_stream(self._stream)
        self.output = self._eager.output
        return loss.clone()

    def _capture(self, batch: Split) -> None:
        static = self._load(batch)
        learner = self._learner
        graph = torch.cuda.CUDAGraph()
        # without this the gradients would be added to tensors outside of the graph's memory
        learner.optimizer.zero_grad(set_to_none=True)
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                output, loss = learner.forward(static)
                loss.backward()  # type: ignore[no-untyped-call]
                learner.update()
        except Exception as error:  # whatever a step that is not static does
            raise CaptureRefusedError(str(error).strip().splitlines()[0]) from error
        self._graph = graph
        self._loss = loss.detach()
        self.output = output

    def _replay(self, batch: Split) -> Tensor:
        self._load(batch)
        assert self._graph is not None
        assert self._loss is not None
        self._graph.replay()
        return self._loss.clone()

    def _verified(self, batch: Split) -> Tensor:
        """Take one step eagerly and by replay from the same state, and keep the replay's."""
        before = _copy_state(self._learner)
        grads = [param.grad for param in self._learner.params]
        eager_loss = self._eager.step([batch]).clone()
        eager = [param.detach().clone() for param in self._learner.params]
        for param, grad in zip(self._learner.params, grads, strict=True):
            param.grad = grad  # the captured ones
        _restore_state(self._learner, before)
        loss = self._replay(batch)
        pairs = [(eager_loss, loss), *zip(eager, self._learner.params, strict=True)]
        worst = max(_difference(one, other) for one, other in pairs)
        if not worst <= self._tolerance:
            _restore_state(self._learner, before)
            raise CaptureRefusedError(f"a replay differs from an eager step by {worst:.2g}")
        return loss


def _difference(one: Tensor, other: Tensor) -> float:
    one, other = one.detach().float(), other.detach().float()
    size = torch.linalg.vector_norm(one)
    return float(torch.linalg.vector_norm(one - other) / size.clamp_min(1e-12))


_State = tuple[list[tuple[Tensor, Tensor]], Tensor]


def _copy_state(learner: Learner) -> _State:
    """Return every tensor that a step changes, with a copy of it, and the random state."""
    tensors: list[Tensor] = [*learner.model.parameters(), *learner.model.buffers()]
    for state in learner.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, Tensor)]
    with torch.no_grad():
        copies = [(tensor, tensor.detach().clone()) for tensor in tensors]
    return copies, torch.cuda.get_rng_state(learner.device)


def _restore_state(learner: Learner, saved: _State) -> None:
    copies, random_state = saved
    with torch.no_grad():
        for tensor, copy in copies:
            tensor.copy_(copy)
    torch.cuda.set_rng_state(random_state, learner.device)

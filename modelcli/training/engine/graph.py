"""The whole step as one CUDA graph: captured once, replayed from then on.

A replay launches every kernel of zeroing, forward, loss, backward, clipping and update at once,
where Python would send them one by one. It works on fixed memory: every batch is copied into the
tensors that were captured, and gradients, optimiser state and learning rate stay where they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor

from modelcli.errors import describe
from modelcli.training.data.tensors import Split
from modelcli.training.engine.step import EagerEngine, Learner, first_tensor
from modelcli.training.engine.verify import compare_steps, copy_state, restore_state

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
    optimizer = type(learner.optimizer)
    of_torch = optimizer.__module__.startswith("torch.")
    if not of_torch and "capturable" not in learner.optimizer.defaults:
        # it may count its steps in Python, and a replay would see the same count for ever
        return f"{optimizer.__name__} of another package does not say that it can be captured"
    return ""


def _lr_is_tensor(optimizer: torch.optim.Optimizer) -> bool:
    return all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)


class GraphEngine:
    """Runs a step by replaying a graph; the first steps run eagerly and warm it up.

    Args:
        learner: what to train, with an optimiser that can be captured.
    """

    name = "graph"
    settling_steps = WARM_UP_STEPS + VERIFIED_REPLAYS

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._eager = EagerEngine(learner)
        self._to_verify = VERIFIED_REPLAYS
        self.peak_memory_bytes = 0
        self._stream = torch.cuda.Stream(learner.device)  # type: ignore[no-untyped-call]
        self._taken = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._static: Split | None = None
        self._loss: Tensor | None = None
        self.output: Tensor | None = None

    def step(self, batches: Sequence[Split]) -> Tensor:
        """Take one step.

        Raises:
            CaptureRefusedError: capturing failed, or a replay differs from an eager step; the
                weights are those before the step.
        """
        batch = batches[0]
        if self._taken < WARM_UP_STEPS:
            self._taken += 1
            return self._warm_up(batch, strict=self._taken == WARM_UP_STEPS)
        if self._graph is None:
            self._capture(batch)
        if self._to_verify:
            self._to_verify -= 1
            loss = self._verified(batch)
            torch.cuda.reset_peak_memory_stats(self._learner.device)  # of the copies it took
            return loss
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

    def _warm_up(self, batch: Split, *, strict: bool) -> Tensor:
        """Take one eager step; a strict one refuses what waits for the device.

        A capture that meets such an operation fails too, but leaves its memory and its stream in
        disorder.
        """
        static = self._load(batch)
        if not strict:
            return self._beside(static)
        before = copy_state(self._learner)
        mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            return self._beside(static)
        except RuntimeError as error:
            refused = describe(error)
        finally:
            torch.cuda.set_sync_debug_mode(mode)
        restore_state(self._learner, before)
        raise CaptureRefusedError(refused)

    def _beside(self, batch: Split) -> Tensor:
        """Take one eager step on the side stream."""
        main = torch.cuda.current_stream(self._learner.device)
        self._stream.wait_stream(main)
        try:
            with torch.cuda.stream(self._stream):
                loss = self._eager.step([batch])
        finally:
            main.wait_stream(self._stream)  # a step that raised may have sent work as well
        self.output = self._eager.output
        return loss.clone()

    def _capture(self, batch: Split) -> None:
        static = self._load(batch)
        learner = self._learner
        graph = torch.cuda.CUDAGraph()
        # without this the gradients would be added to tensors outside of the graph's memory
        learner.optimizer.zero_grad(set_to_none=True)
        refused = ""
        # the outer context puts the stream back where a failed capture leaves it behind
        with torch.cuda.stream(self._stream):
            try:
                with torch.cuda.graph(graph, stream=self._stream):
                    output, loss = learner.forward(static)
                    loss.backward()  # type: ignore[no-untyped-call]
                    learner.update()
                self.output, self._loss = first_tensor(output), loss.detach()
            except Exception as error:  # whatever a step that is not static does
                cause = error.__context__ or error  # the end of a capture raises in its place
                refused = describe(cause)
        if refused:  # raised here, where nothing holds the memory of the capture any more
            learner.optimizer.zero_grad(set_to_none=True)
            raise CaptureRefusedError(refused)
        self._graph = graph
        self.peak_memory_bytes = torch.cuda.max_memory_allocated(learner.device)

    def _replay(self, batch: Split) -> Tensor:
        self._load(batch)
        assert self._graph is not None
        assert self._loss is not None
        self._graph.replay()
        return self._loss.clone()

    def _verified(self, batch: Split) -> Tensor:
        """Take one step eagerly and by replay from the same state, and keep the replay's."""
        learner, output, grad_norm = self._learner, self.output, self._learner.grad_norm
        before = copy_state(learner)
        grads = [param.grad for param in learner.params]
        eager_loss: Tensor | None = None
        eager: list[list[Tensor]] = []
        with contextlib.suppress(torch.OutOfMemoryError):
            eager_loss = self._beside(batch)
            eager = before.read_now()
        self.output, learner.grad_norm = output, grad_norm  # the captured ones again
        for param, grad in zip(learner.params, grads, strict=True):
            param.grad = grad
        restore_state(learner, before)
        if eager_loss is None or not eager:
            raise CaptureRefusedError("there is no memory to verify a replay beside an eager step")
        loss = self._replay(batch)
        differs = compare_steps(loss, eager_loss, before, eager)
        if differs:
            restore_state(learner, before)
            raise CaptureRefusedError(f"a replay differs from an eager step: {differs}")
        return loss

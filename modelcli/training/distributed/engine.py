"""A step that several processes take together, as one process would take it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from modelcli.training.data.tensors import Split
from modelcli.training.distributed.parts import whole
from modelcli.training.engine.step import EagerEngine, Learner, NonFiniteLossError, first_tensor

COMPARED_STEPS = 100  # between two comparisons of blocks on a device, which waits for the CPU


class DistributedEngine(EagerEngine):
    """Runs steps whose loss and gradients are those of the whole batch.

    Under ``ddp`` the first step runs without the wrapper: it shows whether a parameter gets no
    gradient, which the wrapper must know.

    Args:
        learner: what to train; under ``fsdp`` its model is cut already.
    """

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner)
        self._world = learner.world
        self.name = self._world.parallel
        self._runner: nn.Module = learner.model
        self._wraps = not self._world.shards
        self._steps = 0
        self._branches = None
        if self._world.shards:
            from modelcli.training.distributed.branches import Branches

            self._branches = Branches(learner.model, self._world)
        self._reads = learner.device.type == "cpu"  # elsewhere a look would wait for the device

    def step(self, batches: Sequence[Split]) -> Tensor:
        """Take one step.

        Raises:
            NonFiniteLossError: the loss is not finite, on every process.
        """
        learner = self._learner
        for param in learner.params:
            param.grad = None
        parts = len(batches)
        losses = [
            self._take(batch, parts, is_last=number == parts - 1)
            for number, batch in enumerate(batches)
        ]
        if self._wraps:
            self._average()
        learner.update()
        if learner.grad_norm is not None:
            learner.grad_norm = whole(learner.grad_norm)
        if self._wraps:
            self._wrap()
        self._steps += 1
        return losses[0] if parts == 1 else torch.stack(losses).mean()

    def _take(self, batch: Split, parts: int, *, is_last: bool) -> Tensor:
        learner = self._learner
        with self._sharing(is_last):
            with learner.autocast():
                output = self._call(batch)
                loss, shown = self._losses(output, batch)
            self.output = first_tensor(output)
            scaled = loss if parts == 1 else loss / parts
            if learner.scaler is not None:
                scaled = learner.scaler.scale(scaled)
            scaled.backward()  # type: ignore[no-untyped-call]
        return shown

    def _call(self, batch: Split) -> Any:
        """Run the model; blocks of cut weights are compared where that takes next to no time."""
        if self._branches is None:
            return self._learner.call(self._runner, batch.inputs)
        self._branches.compares = self._reads or self._steps % COMPARED_STEPS == 0
        output = self._learner.call(self._runner, batch.inputs)
        self._branches.end()
        self._branches.compares = False
        return output

    def _losses(self, output: Any, batch: Split) -> tuple[Tensor, Tensor]:
        """Return the loss to go back from, and that of the whole batch.

        The mean of all gradients is taken: the first is as much larger as there are processes.
        """
        learner, world = self._learner, self._world
        if world.size == 1:
            loss = learner.objective.loss(output, batch.targets)
            value, world.stops = loss.detach(), world.signum != 0
        else:
            sums, counts = learner.objective.loss_sum(output, batch.targets)
            flag = torch.tensor([float(world.signum != 0)], device=sums.device).double()
            totals = world.sum(torch.cat((sums.detach().double(), counts.double(), flag)))
            number = len(sums)
            loss = (sums / totals[number:-1].to(sums.dtype)).mean() * world.size
            value = (totals[:number] / totals[number:-1]).mean()
            if self._reads:
                world.stops = bool(totals[-1] > 0)
        if self._reads and not math.isfinite(value.item()):
            raise NonFiniteLossError(value.item(), batch)
        return loss, value

    @contextlib.contextmanager
    def _sharing(self, is_last: bool) -> Any:
        """Add gradients up among the processes after the last batch of a step only."""
        if isinstance(self._runner, DistributedDataParallel):
            with contextlib.nullcontext() if is_last else self._runner.no_sync():
                yield
            return
        if self._world.shards:
            self._runner.set_requires_gradient_sync(is_last)  # type: ignore[operator]
        yield

    def _average(self) -> None:
        """Take the mean of the gradients of a step that ran without the wrapper."""
        world, params = self._world, self._learner.params
        here = torch.tensor([float(param.grad is not None) for param in params])
        users = world.sum(here.to(params[0].device)).tolist()
        self._lacks = min(users) < world.size
        for param, count in zip(params, users, strict=True):
            if count and param.grad is None:
                param.grad = torch.zeros_like(param)
            if param.grad is not None and world.size > 1:
                world.sum(param.grad)
                param.grad /= world.size

    def _wrap(self) -> None:
        self._wraps = False
        self._runner = DistributedDataParallel(
            self._learner.model,
            find_unused_parameters=self._lacks,
            forward_sync_buffers=False,  # shared where they are read: see World.share_buffers
            gradient_as_bucket_view=True,
        )

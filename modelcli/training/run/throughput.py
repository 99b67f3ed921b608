"""Operations per sample of a model, and the FLOP/s that the device reaches at best."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from modelcli.isolation import modes_kept, preserved_state
from modelcli.loading.device import DTYPES
from modelcli.machine.ceilings import measure_product
from modelcli.modules import modules_of, set_mode, switch_mode
from modelcli.training.data.tensors import Split
from modelcli.training.engine.step import AMP_DTYPES, Learner


class _Bound(nn.Module):
    """A model together with its inputs, so that those get no gradient, as in training."""

    def __init__(self, model: nn.Module, call: Callable[[], object]) -> None:
        super().__init__()
        self.model = model
        self._call = call

    def forward(self) -> object:
        """Run the model on its inputs."""
        return self._call()


def step_flops(model: nn.Module, call: Callable[[], object]) -> tuple[int, int] | None:
    """Return the traced floating-point operations of a forward and of a backward pass.

    Gradients are added to the parameters. None where the trace could not count all.

    Args:
        model: what is called, in the mode that it is to have.
        call: calls it on inputs that get no gradient.
    """
    from modelcli.tracing.rows import Rows
    from modelcli.tracing.tracer import observe_pass

    seen = observe_pass(_Bound(model, call), (), {}, on_meta=False, backward=True)
    if seen.error is not None or seen.uncounted:
        return None
    root = Rows(seen.tree, seen.used).make()[0]
    return root.flops, root.backward_flops


def flops_per_sample(learner: Learner, split: Split, *, samples: int = 2) -> float | None:
    """Return the traced floating-point operations of one sample, forward and backward.

    The weights and their gradients are as they were. None where the trace could not count all.
    """
    if learner.world.shards:
        return None  # the pass would see the gathering of weights as well
    inputs = split.slice(0, samples).inputs
    model = learner.model
    grads = [param.grad for param in learner.params]
    for param in learner.params:
        param.grad = None  # or the pass would add to them
    try:
        with modes_kept(model), preserved_state():
            switch_mode(model, False)  # batch norm keeps its statistics
            for module in modules_of(model):
                if isinstance(module, nn.RNNBase):
                    set_mode(module, True)  # cuDNN has no backward pass of the other mode
            found = step_flops(model, lambda: learner.call(model, inputs))
    finally:
        for param, grad in zip(learner.params, grads, strict=True):
            param.grad = grad
    return None if found is None else sum(found) / len(inputs[0])


def measure_roofline(device: torch.device, *, dtype: str, amp: str) -> float:
    """Return the FLOP/s that a square matrix product reaches on a device at best."""
    return measure_product(device, AMP_DTYPES.get(amp, DTYPES[dtype]))[0]

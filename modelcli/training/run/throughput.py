"""Operations per sample of a model, and the FLOP/s that the device reaches at best."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from modelcli.isolation import modes_kept, preserved_state
from modelcli.loading.device import DTYPES, synchronize
from modelcli.modules import modules_of, set_mode, switch_mode
from modelcli.training.data.tensors import Split, Tensors
from modelcli.training.engine.step import AMP_DTYPES, Learner

ROOFLINE_SIZE = {"cuda": 8192, "mps": 4096, "cpu": 1024}  # of square matrices
ROOFLINE_REPEATS = 10


class _Bound(nn.Module):
    """A model together with its inputs, so that those get no gradient, as in training."""

    def __init__(self, learner: Learner, inputs: Tensors) -> None:
        super().__init__()
        self.model = learner.model
        self._call = learner.call
        self._inputs = inputs

    def forward(self) -> object:
        """Run the model on its inputs."""
        return self._call(self.model, self._inputs)


def flops_per_sample(learner: Learner, split: Split, *, samples: int = 2) -> float | None:
    """Return the traced floating-point operations of one sample, forward and backward.

    The weights and their gradients are as they were. None where the trace could not count all.
    """
    from modelcli.tracing.tracer import observe_pass

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
            seen = observe_pass(_Bound(learner, inputs), (), {}, on_meta=False, backward=True)
    finally:
        for param, grad in zip(learner.params, grads, strict=True):
            param.grad = grad
    if seen.error is not None or seen.uncounted:
        return None
    from modelcli.tracing.rows import Rows

    root = Rows(seen.tree, seen.used).make()[0]
    return (root.flops + root.backward_flops) / len(inputs[0])


def measure_roofline(device: torch.device, *, dtype: str, amp: str) -> float:
    """Return the FLOP/s that a large square matrix product reaches on a device."""
    kind = AMP_DTYPES.get(amp, DTYPES[dtype])
    size = ROOFLINE_SIZE.get(device.type, 1024)
    generator = torch.Generator(device=device).manual_seed(0)
    a = torch.randn(size, size, generator=generator, device=device).to(kind)
    b = torch.randn(size, size, generator=generator, device=device).to(kind)
    best = _time_product(a, b, device)
    for _ in range(ROOFLINE_REPEATS):
        best = min(best, _time_product(a, b, device))
    return 2.0 * size**3 / best


def _time_product(a: Tensor, b: Tensor, device: torch.device) -> float:
    synchronize(device)
    began = time.perf_counter()
    torch.mm(a, b)
    synchronize(device)
    return time.perf_counter() - began

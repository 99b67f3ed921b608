"""Batch normalisation whose statistics are those of the whole batch, on any device.

torch's own ``SyncBatchNorm`` takes CUDA tensors only, and makes new modules, of which FSDP that has
cut the old ones knows nothing. So a layer here keeps its module, and gets another forward.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from modelcli.modules import modules_of
from modelcli.training.distributed.world import World

_PLAIN: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def share_norms(model: nn.Module, world: World, batch_norm: str) -> list[str]:
    """Let batch normalisation see the samples of all processes, and return what is to be said.

    Args:
        batch_norm: ``global``, or ``local`` for what torch does by itself.
    """
    found = [
        each for each in modules_of(model) if isinstance(each, nn.modules.batchnorm._BatchNorm)
    ]
    if world.size == 1 or not found:
        return []
    if batch_norm == "local":
        return [
            f"batch_norm local: {len(found)} layers see the samples of their own process; running "
            "statistics are those of rank 0"
        ]
    own = []
    for module in found:
        if _plain_class(module) is None:
            own.append(type(module).__name__)
        else:
            setattr(module, "forward", _SharedForward(module))  # noqa: B010  # mypy's rule
    if own:
        return [f"{', '.join(sorted(set(own)))}: normalisation of their own, by each process"]
    return []


def _plain_class(module: nn.Module) -> type[nn.Module] | None:
    return next((kind for kind in _PLAIN if type(module).forward is kind.forward), None)


class _SharedForward:
    """The forward of a layer of torch's over the batch of all processes.

    Equations 1 to 4 of Ioffe and Szegedy, "Batch Normalization" (https://arxiv.org/abs/1502.03167);
    as torch has it, the running variance is the unbiased one.

    Args:
        module: the layer; in evaluation its own forward is right.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module: Any = module

    def __call__(self, input: Tensor) -> Tensor:
        """Normalise (N, C, ...) by the mean and variance of every channel."""
        module = self._module
        if not (module.training or module.running_mean is None):
            output: Tensor = type(module).forward(module, input)
            return output
        module._check_input_dim(input)
        others = [dim for dim in range(input.dim()) if dim != 1]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        count = input.new_tensor([input.numel() / input.shape[1]], dtype=torch.float64)
        sums = _add_up(torch.cat((input.sum(others, dtype=torch.float64), count)))
        count = sums[-1].detach()
        mean = (sums[:-1] / count).to(input.dtype)
        centred = input - mean.view(shape)
        squares = _add_up((centred * centred).sum(others, dtype=torch.float64))
        variance = (squares / count).to(input.dtype)
        self._follow(mean.detach(), variance.detach(), float(count))
        output = centred * torch.rsqrt(variance + module.eps).view(shape)
        if module.weight is None:
            return output
        scaled: Tensor = output * module.weight.view(shape) + module.bias.view(shape)
        return scaled

    def _follow(self, mean: Tensor, variance: Tensor, count: float) -> None:
        module = self._module
        if not (module.training and module.track_running_stats):
            return
        with torch.no_grad():
            module.num_batches_tracked.add_(1)
            weight = module.momentum
            if weight is None:
                weight = 1.0 / float(module.num_batches_tracked)
            unbiased = variance * (count / max(1.0, count - 1))
            module.running_mean.lerp_(mean.to(module.running_mean.dtype), weight)
            module.running_var.lerp_(unbiased.to(module.running_var.dtype), weight)


class _AddUp(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        """Add up."""
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Add the gradients up."""
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _add_up(tensor: Tensor) -> Tensor:
    total: Tensor = _AddUp.apply(tensor)  # type: ignore[no-untyped-call]
    return total

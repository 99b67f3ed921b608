"""The kernels that a device takes, taken on meta.

Meta takes the plain road through dropout and attention: a float mask of dropout, and all scores of
attention. CUDA and the CPU have kernels that keep far less. Kernels of our own, registered for
meta's autograd key alone while a pass runs, send every caller down the device's road; nothing but
meta tensors is touched, and they are taken away again.

A function mode could not: it is off inside ``F.multi_head_attention_forward``. Fake tensors on
``cuda`` could not either: they end the process in a torch that is built without CUDA.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from modelcli.losses import LOSSES

Device = Literal["cuda", "cpu"]
Attention = Literal["auto", "flash", "efficient", "math"]

_ATEN = torch.ops.aten
_HALF = (torch.float16, torch.bfloat16)
_MOST_FLASH_HEAD = 256  # the widest head of CUDA's flash attention


@contextlib.contextmanager
def device_paths(device: Device, attention: Attention = "auto") -> Iterator[dict[str, int]]:
    """Take a device's kernels on meta meanwhile; yield how often each of attention's was taken.

    Args:
        device: whose kernels.
        attention: one of CUDA's, in place of the one that it would choose.
    """
    paths = _Paths(device, attention)
    library: Any = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    try:
        library.impl(
            "scaled_dot_product_attention", paths.attend, "AutogradMeta", allow_override=True
        )
        for name in ("_fused_sgd_", "_fused_adagrad_"):
            library.impl(name, _nothing, "Meta", allow_override=True)
        for name in (spec.keeps_terms for spec in LOSSES.values() if spec.keeps_terms):
            library.impl(name, _loss_in_place, "Meta", allow_override=True)
        if device == "cpu":
            library.impl("native_batch_norm", _batch_norm_of_cpu, "Meta", allow_override=True)
        else:
            library.impl("dropout", _dropout, "AutogradMeta", allow_override=True)
            library.impl("rms_norm", _rms_norm, "AutogradMeta", allow_override=True)
        yield paths.taken
    finally:
        library._destroy()


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """Update parameters in place, which changes no memory."""


def _loss_in_place(x: Tensor, target: Tensor, *more: Any) -> Tensor:
    """Reduce as torch's own kernels do: the scalar lies in the memory of all its terms."""
    reduction = next((value for value in more if isinstance(value, int)), 1)
    shape = torch.broadcast_shapes(x.shape, target.shape)  # type: ignore[no-untyped-call]
    terms = torch.empty(shape, dtype=torch.result_type(x, target), device=x.device)
    return terms if reduction == 0 else terms.resize_(())


def _batch_norm_of_cpu(
    x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *_numbers: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise as the CPU does, which keeps no statistics of a batch that it did not look at."""
    dtype = torch.float32 if x.dtype in _HALF else x.dtype
    size = x.shape[1] if training else 0
    mean, deviation = (torch.empty(size, dtype=dtype, device=x.device) for _ in range(2))
    return torch.empty_like(x), mean, deviation


def _dropout(x: Tensor, p: float, train: bool) -> Tensor:
    """Drop as CUDA does: the mask has one byte an element."""
    if not train or p == 0 or x.numel() == 0:
        return x
    if p == 1:
        return x * torch.zeros((), dtype=x.dtype, device=x.device)
    dropped: Tensor = torch.native_dropout(x, p, True)[0]
    return dropped


def _rms_norm(x: Tensor, shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Any:
    """Normalise in one kernel, which keeps one number a row."""
    return _ATEN._fused_rms_norm(x, shape, weight, eps)[0]


class _Paths:
    """Chooses among the kernels of attention, and counts."""

    def __init__(self, device: Device, attention: Attention) -> None:
        self.device = device
        self.wanted = attention
        self.taken: dict[str, int] = {}

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None = None,
        p: float = 0.0,
        causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Run attention by the kernel that the device would choose."""
        if self.device == "cpu":
            name = "flash" if _cpu_takes_flash(q, k, v, mask, p) else "math"
        else:
            name = self._of_cuda(q, k, v, mask, enable_gqa)
        self.taken[name] = self.taken.get(name, 0) + 1
        if name == "math":
            return _first(
                _ATEN._scaled_dot_product_attention_math(
                    q, k, v, mask, p, causal, scale=scale, enable_gqa=enable_gqa
                )
            )
        if self.device == "cpu":
            bias = _as_bias(mask, q)
            return _first(
                _ATEN._scaled_dot_product_flash_attention_for_cpu(
                    q, k, v, p, causal, attn_mask=bias, scale=scale
                )
            )
        if name == "flash":
            return _flash(q, k, v, p, causal, scale)
        return _efficient(q, k, v, mask, p, causal, scale)

    def _of_cuda(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, enable_gqa: bool
    ) -> str:
        """Choose in CUDA's order: flash for half types without a mask, efficient, then math."""
        if self.wanted != "auto" and (self.wanted != "flash" or _cuda_takes_flash(q, k, v, mask)):
            return self.wanted
        if _cuda_takes_flash(q, k, v, mask):
            return "flash"
        grouped = enable_gqa and q.shape[-3] != k.shape[-3]
        return "math" if q.dim() != 4 or grouped or _asks(mask) else "efficient"


def _cuda_takes_flash(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> bool:
    same = q.shape[-1] == k.shape[-1] == v.shape[-1] <= _MOST_FLASH_HEAD
    return q.dim() == 4 and q.dtype in _HALF and mask is None and same


def _cpu_takes_flash(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> bool:
    """Tell what torch asks before it fuses attention on a CPU (``sdp_utils_cpp.cpp``)."""
    plain = q.dim() == 4 and p == 0 and q.shape[-1] == k.shape[-1] == v.shape[-1]
    filled = min(q.shape[-2], k.shape[-2]) > 0
    alike = q.shape[0] == k.shape[0] == v.shape[0] and k.shape[1] == v.shape[1]
    heads = alike and q.shape[1] % k.shape[1] == 0  # several may share keys and values
    dense = all(t.stride(-1) == 1 for t in (q, k, v))
    return plain and filled and heads and dense and not _asks(mask)


def _asks(mask: Tensor | None) -> bool:
    return mask is not None and mask.requires_grad


def _flash(q: Tensor, k: Tensor, v: Tensor, p: float, causal: bool, scale: float | None) -> Tensor:
    """Run flash attention; heads are padded to a multiple of 8 and cut again."""
    size = q.shape[-1]
    if size % 8:
        q, k, v = (torch.nn.functional.pad(t, (0, 8 - size % 8)) for t in (q, k, v))
        scale = size**-0.5 if scale is None else scale
    out = _ATEN._scaled_dot_product_flash_attention(q, k, v, p, causal, False, scale=scale)
    return _first(out)[..., :size]


def _efficient(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    p: float,
    causal: bool,
    scale: float | None,
) -> Tensor:
    """Run memory-efficient attention; a mask becomes a bias in rows of a multiple of 16."""
    bias = _as_bias(mask, q)
    if bias is not None:
        if bias.shape[-1] % 16:
            bias = torch.nn.functional.pad(bias, (0, 16 - bias.shape[-1] % 16))
            bias = bias[..., : k.shape[-2]]
        bias = bias.expand(q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    needs = torch.is_grad_enabled() and any(t.requires_grad for t in (q, k, v))
    return _first(
        _ATEN._scaled_dot_product_efficient_attention(q, k, v, bias, needs, p, causal, scale=scale)
    )


def _as_bias(mask: Tensor | None, q: Tensor) -> Tensor | None:
    """Return what is added to the scores: 0 or minus infinity where a mask says yes or no."""
    if mask is None or mask.dtype is not torch.bool:
        return mask
    bias = torch.empty_like(mask, dtype=q.dtype)
    return bias.masked_fill_(mask.logical_not(), float("-inf"))


def _first(outputs: tuple[Tensor, ...]) -> Tensor:
    return outputs[0]


__all__ = ["Attention", "Device", "device_paths"]

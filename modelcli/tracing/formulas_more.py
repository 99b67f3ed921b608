"""Formulas beside those of ATen's contractions: transforms, solvers, torchvision's operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any


def _transform(tensor: Any, dims: Sequence[int], *, complex_both: bool) -> int:
    """5 N log2 N for each complex transform of N values, half of it where one side is real.

    Source: https://www.fftw.org/speed/method.html, which calls it a convention and no count.

    Args:
        tensor: the side of the transform that has all N values.
        dims: the transformed axes.
        complex_both: whether both sides are complex.
    """
    shape = tuple(tensor.shape)
    size = math.prod(shape[dim] for dim in dims)
    batch = math.prod(shape) // size if size else 0
    flops = 5 * size * math.log2(size) * batch if size > 1 else 0
    return round(flops if complex_both else flops / 2)


def _fft_c2c(x: Any, dims: Sequence[int], *_args: Any, out_val: Any, **_: Any) -> int:
    return _transform(x, dims, complex_both=True)


def _fft_r2c(x: Any, dims: Sequence[int], *_args: Any, out_val: Any, **_: Any) -> int:
    return _transform(x, dims, complex_both=False)


def _fft_c2r(_x: Any, dims: Sequence[int], *_args: Any, out_val: Any, **_: Any) -> int:
    return _transform(out_val, dims, complex_both=False)


def _deform_conv2d(_x: Any, weight: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    """The contraction, as of any convolution; reading between cells is no contraction."""
    batch, _, height, width = out_val.shape
    return int(2 * batch * height * width * math.prod(weight.shape))


def _deform_conv2d_backward(grad: Any, _x: Any, weight: Any, *_args: Any, **_: Any) -> int:
    """The gradients of the input and of the weight: as much as the forward pass, each."""
    return 2 * _deform_conv2d(None, weight, out_val=grad)


def _solve_triangular(a: Any, b: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    """Each right-hand side meets every number beside the diagonal once."""
    size, columns = a.shape[-1], out_val.numel() // max(a.shape[-1], 1)
    return int(size * (size - 1) * columns)


def _euclidean_dist(a: Any, b: Any, *_args: Any, out_val: Any, **_: Any) -> int:
    """The product of every row of one with every row of the other; the squares are cheap."""
    return int(2 * out_val.numel() * a.shape[-1])


MORE: dict[str, dict[str, Callable[..., int]]] = {
    "aten": {
        "_fft_c2c": _fft_c2c,
        "_fft_r2c": _fft_r2c,
        "_fft_c2r": _fft_c2r,
        "linalg_solve_triangular": _solve_triangular,
        "_euclidean_dist": _euclidean_dist,
    },
    "torchvision": {
        "deform_conv2d": _deform_conv2d,
        "_deform_conv2d_backward": _deform_conv2d_backward,
    },
}
"""By namespace and operator."""

# Look-up, pooling and search: free by convention, as their like in ATen.
FREE_OF_TORCHVISION = frozenset(
    "nms roi_align _roi_align_backward roi_pool _roi_pool_backward ps_roi_align "
    "_ps_roi_align_backward ps_roi_pool _ps_roi_pool_backward".split()
)

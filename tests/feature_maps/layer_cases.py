"""Random configurations of every kind of layer, each as torch's call and as our layer."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from modelcli.feature_maps.layers.convolution import Convolution
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.layers.padding import Pad
from modelcli.feature_maps.layers.patches import Fold, PixelShuffle, Unfold
from modelcli.feature_maps.layers.pooling import AdaptivePooling, FractionalPooling, Pooling
from modelcli.feature_maps.layers.resize import Resize
from modelcli.feature_maps.layers.simple import Flatten
from modelcli.feature_maps.layers.transposed import TransposedConvolution


@dataclass
class Case:
    kind: str
    layer: Layer
    shape: tuple[int, ...]
    call: Callable[[str], torch.Tensor]  # device -> torch's own result


class Draw:
    """Numbers that are mostly sensible, and now and then not."""

    def __init__(self, seed: int, dims: int) -> None:
        self.random = random.Random(seed)
        self.dims = dims

    def one(self, low: int, high: int, *, odd: int | None = None) -> int:
        if odd is not None and self.random.random() < 0.02:
            return odd
        return self.random.randint(low, high)

    def axes(self, low: int, high: int, *, odd: int | None = None) -> tuple[int, ...]:
        return tuple(self.one(low, high, odd=odd) for _ in range(self.dims))

    def choose(self, *options: Any) -> Any:
        return self.random.choice(options)

    def sizes(self, high: int = 10) -> tuple[int, ...]:
        return self.axes(1, high)

    def shape(self, channels: int, high: int = 10) -> tuple[int, ...]:
        batch = () if self.random.random() < 0.15 else (self.one(1, 3),)
        return (*batch, channels, *self.sizes(high))


def _functional(name: str, dims: int) -> Callable[..., torch.Tensor]:
    return getattr(F, f"{name}{dims}d")


def _input(shape: tuple[int, ...], device: str) -> torch.Tensor:
    return torch.empty(shape, device=device)


def convolution(d: Draw) -> Case:
    groups = d.choose(1, 1, 1, 2, 3)
    cin, cout = d.one(1, 4) * d.choose(groups, groups, 1), d.one(1, 4) * d.choose(groups, groups, 1)
    expected = cin + d.choose(*[0] * 12, 1)  # now and then weights made for another input
    kernel, stride = d.axes(1, 5, odd=0), d.axes(1, 4, odd=0)
    dilation = d.axes(1, 3, odd=0)
    if d.random.random() < 0.3:
        stride = (1,) * d.dims
    padding = d.choose(d.axes(0, 4, odd=-1), d.axes(0, 1), "same", "valid")
    shape = d.shape(cin)
    weight = (cout, expected // groups, *kernel)
    if expected % groups:  # torch learns of this only when the module is made
        weight = (cout, 0, *kernel)

    def call(device: str) -> torch.Tensor:
        return _functional("conv", d.dims)(
            _input(shape, device), _input(weight, device), None, stride, padding, dilation, groups
        )

    layer = Convolution(
        dims=d.dims, kernel_size=kernel, out_channels=cout, in_channels=expected, stride=stride,
        padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    return Case("conv", layer, shape, call)


def transposed(d: Draw) -> Case:
    groups = d.choose(1, 1, 1, 2, 3)
    cin, cout = d.one(1, 3) * groups, d.one(1, 3) * groups
    expected = cin + d.choose(*[0] * 12, groups)
    kernel, stride = d.axes(1, 5, odd=0), d.axes(1, 4, odd=0)
    padding, dilation = d.axes(0, 4, odd=-1), d.axes(1, 3)  # 0 slips through some CPU kernels
    output_padding = d.choose(d.axes(0, 3), d.axes(0, 1), (0,) * d.dims)
    shape = d.shape(cin, 6)

    def call(device: str) -> torch.Tensor:
        return _functional("conv_transpose", d.dims)(
            _input(shape, device), _input((expected, cout // groups, *kernel), device), None,
            stride, padding, output_padding, groups, dilation,
        )  # fmt: skip

    layer = TransposedConvolution(
        dims=d.dims, kernel_size=kernel, out_channels=cout, in_channels=expected, stride=stride,
        padding=padding, output_padding=output_padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    return Case("transposed", layer, shape, call)


def requested(d: Draw) -> Case:
    """A transposed convolution that is asked for an output size."""
    kernel, stride, padding = d.axes(1, 5), d.axes(1, 4), d.axes(0, 2)
    dilation = d.axes(1, 2)
    shape = (1, 2, *d.sizes(6))
    least = [
        (n - 1) * s - 2 * p + a * (k - 1) + 1
        for n, s, p, a, k in zip(shape[2:], stride, padding, dilation, kernel, strict=True)
    ]
    wanted = [max(n + d.one(-1, max(stride)), 1) for n in least]
    module = getattr(torch.nn, f"ConvTranspose{d.dims}d")

    def call(device: str) -> torch.Tensor:
        layer = module(2, 3, kernel, stride, padding, dilation=dilation, bias=False, device=device)
        return layer(_input(shape, device), output_size=wanted)

    layer = TransposedConvolution(
        dims=d.dims, kernel_size=kernel, out_channels=3, stride=stride, padding=padding,
        dilation=dilation, output_size=wanted,
    )  # fmt: skip
    return Case("output_size", layer, shape, call)


def max_pooling(d: Draw) -> Case:
    kernel, stride = d.axes(1, 4, odd=0), d.choose(None, d.axes(1, 4, odd=0))
    padding, dilation = d.choose(d.axes(0, 2, odd=-1), d.axes(0, 1)), d.axes(1, 3, odd=0)
    ceil, shape = d.choose(True, False), d.shape(2)
    layer = Pooling(
        dims=d.dims, kind="Max", kernel_size=kernel, stride=stride, padding=padding,
        dilation=dilation, ceil_mode=ceil,
    )  # fmt: skip

    def call(device: str) -> torch.Tensor:
        return _functional("max_pool", d.dims)(
            _input(shape, device), kernel, stride, padding, dilation, ceil
        )

    return Case("max", layer, shape, call)


def average_pooling(d: Draw) -> Case:
    kernel, stride = d.axes(1, 4, odd=0), d.choose(None, d.axes(1, 4, odd=0))
    padding = d.choose(d.axes(0, 2, odd=-1), d.axes(0, 1))
    ceil, shape = d.choose(True, False), d.shape(2)
    layer = Pooling(
        dims=d.dims, kind="Avg", kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil
    )

    def call(device: str) -> torch.Tensor:
        return _functional("avg_pool", d.dims)(_input(shape, device), kernel, stride, padding, ceil)

    return Case("avg", layer, shape, call)


def lp_pooling(d: Draw) -> Case:
    kernel, stride = d.axes(1, 4, odd=0), d.choose(None, d.axes(1, 4, odd=0))
    ceil, shape = d.choose(True, False), d.shape(2)
    layer = Pooling(dims=d.dims, kind="LP", kernel_size=kernel, stride=stride, ceil_mode=ceil)
    one = d.dims == 1  # lp_pool1d takes plain numbers only

    def call(device: str) -> torch.Tensor:
        return _functional("lp_pool", d.dims)(
            _input(shape, device), 2.0, kernel[0] if one else kernel,
            stride[0] if one and stride else stride, ceil,
        )  # fmt: skip

    return Case("lp", layer, shape, call)


def fractional(d: Draw) -> Case:
    d.dims = d.choose(2, 3)
    kernel, shape = d.axes(1, 3), d.shape(2)
    if d.random.random() < 0.5:
        size: Any = d.axes(1, 8)
        layer = FractionalPooling(dims=d.dims, kernel_size=kernel, output_size=size)
        kwargs = {"output_size": size}
    else:
        ratio = tuple(d.choose(0.1, 0.3, 0.5, 0.7, 0.9) for _ in range(d.dims))
        layer = FractionalPooling(dims=d.dims, kernel_size=kernel, output_ratio=ratio)
        kwargs = {"output_ratio": ratio}

    def call(device: str) -> torch.Tensor:
        return _functional("fractional_max_pool", d.dims)(_input(shape, device), kernel, **kwargs)

    return Case("fractional", layer, shape, call)


def adaptive(d: Draw) -> Case:
    kind = d.choose("Avg", "Max")
    size = d.choose(d.axes(1, 12, odd=-1), tuple(d.choose(None, 3) for _ in range(d.dims)))
    if d.dims == 1 and size == (None,):
        size = (4,)
    shape = d.shape(2)
    layer = AdaptivePooling(dims=d.dims, kind=kind, output_size=size)

    def call(device: str) -> torch.Tensor:
        return _functional(f"adaptive_{kind.lower()}_pool", d.dims)(_input(shape, device), size)

    return Case("adaptive", layer, shape, call)


def unfold(d: Draw) -> Case:
    d.dims = 2
    kernel, stride = d.axes(1, 4, odd=0), d.axes(1, 3, odd=0)
    padding, dilation = d.axes(0, 2, odd=-1), d.axes(1, 3, odd=0)
    shape = d.shape(d.one(1, 3))
    layer = Unfold(kernel_size=kernel, stride=stride, padding=padding, dilation=dilation)

    def call(device: str) -> torch.Tensor:
        return F.unfold(_input(shape, device), kernel, dilation, padding, stride)

    return Case("unfold", layer, shape, call)


def fold(d: Draw) -> Case:
    d.dims = 2
    kernel, stride, output = d.axes(1, 3), d.axes(1, 3, odd=0), d.axes(1, 9)
    padding, dilation = d.axes(0, 2, odd=-1), d.axes(1, 3)
    columns = math.prod(
        (o + 2 * p - a * (k - 1) - 1) // max(s, 1) + 1
        for o, p, a, k, s in zip(output, padding, dilation, kernel, stride, strict=True)
    )
    values = d.one(1, 3) * math.prod(kernel) + d.choose(*[0] * 9, 1)
    shape = (values, max(columns, 1) + d.choose(*[0] * 9, 1))
    if d.choose(True, False):
        shape = (2, *shape)
    layer = Fold(
        output_size=output, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation
    )

    def call(device: str) -> torch.Tensor:
        return F.fold(_input(shape, device), output, kernel, dilation, padding, stride)

    return Case("fold", layer, shape, call)


def shuffle(d: Draw) -> Case:
    d.dims = 2
    factor, reverse = d.one(1, 3, odd=0), d.choose(True, False)
    side = factor if d.choose(True, False) else 1
    shape = d.shape(d.one(1, 3) * d.choose(factor * factor, 1) or 1)
    shape = (*shape[:-2], shape[-2] * side or 1, shape[-1] * side or 1)
    layer = PixelShuffle(factor=factor, reverse=reverse)

    def call(device: str) -> torch.Tensor:
        function = F.pixel_unshuffle if reverse else F.pixel_shuffle
        return function(_input(shape, device), factor)

    return Case("shuffle", layer, shape, call)


_SCALES = (0.1, 0.3, 0.5, 0.75, 1.0, 1.5, 2, 2.7, 3.3, 2.0000001, 0.9999999)


def resize(d: Draw) -> Case:
    modes = ("nearest", "nearest-exact", "area", "linear", "bilinear", "trilinear", "bicubic")
    fitting = {1: "linear", 2: d.choose("bilinear", "bicubic"), 3: "trilinear"}[d.dims]
    mode = d.choose(*modes, "nearest", fitting, fitting, fitting)
    corners = d.choose(True, False) and mode.endswith(("linear", "cubic"))
    shape = d.shape(2)
    kwargs: dict[str, Any] = {"mode": mode}
    if d.random.random() < 0.4:
        kwargs["size"] = d.axes(1, 14, odd=0)
        layer = Resize(dims=d.dims, mode=mode, size=kwargs["size"], align_corners=corners)
    else:
        kwargs["scale_factor"] = tuple(d.choose(*_SCALES) for _ in range(d.dims))
        kwargs["recompute_scale_factor"] = d.choose(True, None)
        layer = Resize(
            dims=d.dims, mode=mode, scale_factor=kwargs["scale_factor"], align_corners=corners,
            recompute_scale_factor=bool(kwargs["recompute_scale_factor"]),
        )  # fmt: skip
    if corners:
        kwargs["align_corners"] = True

    def call(device: str) -> torch.Tensor:
        return F.interpolate(_input(shape, device), **kwargs)

    return Case("resize", layer, shape, call)


def pad(d: Draw) -> Case:
    mode = d.choose("constant", "reflect", "replicate", "circular")
    least = -2 if mode != "circular" else 0  # a circular crop writes over itself on the CPU
    pads = tuple(d.one(d.choose(0, least), 4) for _ in range(2 * d.dims))
    shape = d.shape(2, 7)
    layer = Pad(pad=pads, mode=mode)

    def call(device: str) -> torch.Tensor:
        return F.pad(_input(shape, device), pads, mode)

    return Case("pad", layer, shape, call)


def flatten(d: Draw) -> Case:
    shape = d.shape(2, 4)
    start, end = d.one(-5, 4), d.one(-5, 4)
    layer = Flatten(start_dim=start, end_dim=end)

    def call(device: str) -> torch.Tensor:
        return torch.flatten(_input(shape, device), start, end)

    return Case("flatten", layer, shape, call)


# kind -> (maker, its share of the configurations)
KINDS: dict[str, tuple[Callable[[Draw], Case], int]] = {
    "convolution": (convolution, 20),
    "transposed": (transposed, 14),
    "output_size": (requested, 4),
    "max": (max_pooling, 12),
    "avg": (average_pooling, 8),
    "lp": (lp_pooling, 5),
    "fractional": (fractional, 4),
    "adaptive": (adaptive, 6),
    "unfold": (unfold, 5),
    "fold": (fold, 5),
    "shuffle": (shuffle, 4),
    "resize": (resize, 6),
    "pad": (pad, 5),
    "flatten": (flatten, 2),
}


def make(kind: str, seed: int) -> Case:
    """Return one configuration; the same kind and seed give the same one."""
    maker, _ = KINDS[kind]
    return maker(Draw(seed, dims=seed % 3 + 1))

"""From an observed call to the layer of the arithmetic that should give the same shape.

Every maker imports its family itself: few models have all of them, and the table of a small model
should not wait for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from modelcli.feature_maps.layers.convolution import Convolution
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.layers.pooling import Pooling
from modelcli.feature_maps.record import AxisResult
from modelcli.feature_maps.refusal import ShapeError
from modelcli.tracing.record import Call

Maker = Callable[[Call, int], Layer | None]
_DIMS = re.compile(r"(?P<base>.*?)_?(?P<dims>[123])d(_with_indices)?$")
_PAD_MODES = {
    "zeropad": "zeros",
    "constantpad": "constant",
    "reflectionpad": "reflect",
    "replicationpad": "replicate",
    "circularpad": "circular",
}


def layer_of(call: Call) -> Layer | None:
    """Return the layer that a call is, or None where it does not change a feature map.

    Functions and modules are told apart by nothing: ``F.max_pool2d`` and ``nn.MaxPool2d`` are the
    same arithmetic.
    """
    name = call.base.lower().rstrip("_")
    dims = 0
    match = _DIMS.match(name)
    if match:
        name, dims = match.group("base"), int(match.group("dims"))
    maker = _MAKERS.get(name.replace("_", "").removeprefix("lazy"))
    if maker is None or not call.input_shapes:
        return None
    return maker(call, dims)


def sliding_axes(call: Call) -> tuple[AxisResult, ...] | None:
    """Return the axes of a convolution or a pooling whose window slides, as it was called.

    Returns:
        None for every other call, and where no window fits.
    """
    layer = layer_of(call)
    if not isinstance(layer, Convolution | Pooling):
        return None
    try:
        return layer.apply(call.input_shapes[0]).axes
    except ShapeError:
        return None


def _get(call: Call, name: str, default: Any) -> Any:
    value = call.geometry.get(name, default)
    return default if value is None else value


def _positional(call: Call, position: int, name: str, default: Any = None) -> Any:
    """Return an argument by name, or by its position among those without one."""
    if name in call.geometry:
        return call.geometry[name]
    rest = call.geometry.get("args", ())
    return rest[position] if position < len(rest) else default


def _convolution(call: Call, dims: int) -> Layer:
    weight = call.geometry.get("weight_shape")
    groups = _get(call, "groups", 1)
    channels = call.input_shapes[0][-dims - 1] if len(call.input_shapes[0]) > dims else None
    return Convolution(
        name=call.path,
        dims=dims,
        kernel=tuple(weight[2:]) if weight else _get(call, "kernel_size", 1),
        out_channels=weight[0] if weight else call.geometry.get("out_channels"),
        in_channels=weight[1] * groups if weight else _expected(call, channels),
        stride=_get(call, "stride", 1),
        padding=_get(call, "padding", 0),
        dilation=_get(call, "dilation", 1),
        groups=groups,
    )


def _expected(call: Call, channels: int | None) -> int | None:
    expected = call.geometry.get("in_channels")
    return expected or channels  # a lazy layer says 0


def _transposed(call: Call, dims: int) -> Layer:
    from modelcli.feature_maps.layers.transposed import TransposedConvolution

    weight = call.geometry.get("weight_shape")
    groups = _get(call, "groups", 1)
    requested = call.geometry.get("output_size")
    return TransposedConvolution(
        name=call.path,
        dims=dims,
        kernel=tuple(weight[2:]) if weight else _get(call, "kernel_size", 1),
        out_channels=weight[1] * groups if weight else call.geometry.get("out_channels"),
        in_channels=weight[0] if weight else call.geometry.get("in_channels"),
        stride=_get(call, "stride", 1),
        padding=_get(call, "padding", 0),
        output_padding=_get(call, "output_padding", 0),
        dilation=_get(call, "dilation", 1),
        groups=groups,
        output_size=tuple(requested[-dims:]) if requested else None,
    )


def _pooling(kind: Literal["max", "avg", "lp"]) -> Maker:
    def make(call: Call, dims: int) -> Layer:
        return Pooling(
            name=call.path,
            dims=dims,
            kind=kind,
            kernel=_get(call, "kernel_size", 1),
            stride=call.geometry.get("stride") or None,
            padding=_get(call, "padding", 0),
            dilation=_get(call, "dilation", 1),
            ceil=bool(_get(call, "ceil_mode", False)),
        )

    return make


def _adaptive(kind: Literal["max", "avg"]) -> Maker:
    def make(call: Call, dims: int) -> Layer:
        from modelcli.feature_maps.layers.adaptive import AdaptivePooling

        size = _positional(call, 0, "output_size")
        return AdaptivePooling(name=call.path, dims=dims, kind=kind, output_size=size)

    return make


def _fractional(call: Call, dims: int) -> Layer:
    from modelcli.feature_maps.layers.adaptive import FractionalPooling

    return FractionalPooling(
        name=call.path,
        dims=dims,
        kernel=_get(call, "kernel_size", 1),
        output_size=call.geometry.get("output_size"),
        output_ratio=call.geometry.get("output_ratio"),
    )


def _unfold(call: Call, dims: int) -> Layer | None:
    from modelcli.feature_maps.layers.patches import Unfold

    if "dimension" in call.geometry or "kernel_size" not in call.geometry:
        return None  # Tensor.unfold, which is another thing
    return Unfold(name=call.path, **_patch_options(call.geometry))


def _fold(call: Call, dims: int) -> Layer:
    from modelcli.feature_maps.layers.patches import Fold

    return Fold(
        name=call.path,
        output_size=_get(call, "output_size", 1),
        **_patch_options(call.geometry),
    )


def _patch_options(geometry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kernel": geometry.get("kernel_size", 1),
        "stride": geometry.get("stride", 1),
        "padding": geometry.get("padding", 0),
        "dilation": geometry.get("dilation", 1),
    }


def _shuffle(call: Call, dims: int) -> Layer:
    from modelcli.feature_maps.layers.shuffle import PixelShuffle

    return PixelShuffle(name=call.path, factor=_positional(call, 0, "upscale_factor", 1))


def _unshuffle(call: Call, dims: int) -> Layer:
    from modelcli.feature_maps.layers.shuffle import PixelShuffle

    factor = _positional(call, 0, "downscale_factor", 1)
    return PixelShuffle(name=call.path, factor=factor, reverse=True)


def _resize(call: Call, dims: int) -> Layer:
    from modelcli.feature_maps.layers.resize import Resize

    bilinear = "bilinear" in call.base.lower()  # a class or function that aligns corners
    return Resize(
        name=call.path,
        dims=len(call.input_shapes[0]) - 2,
        size=call.geometry.get("size"),
        scale=call.geometry.get("scale_factor"),
        mode=_get(call, "mode", "bilinear" if bilinear else "nearest"),
        align_corners=bool(_get(call, "align_corners", bilinear)),
        recompute=bool(_get(call, "recompute_scale_factor", False)),
        name_shown=call.type,
    )


def _pad(call: Call, dims: int) -> Layer | None:
    from modelcli.feature_maps.layers.padding import Pad

    pads = _positional(call, 0, "pad", ())
    if not pads:
        return None
    return Pad(
        name=call.path, pads=pads, mode=_positional(call, 1, "mode", "constant"), name_shown="pad"
    )


def _pad_module(kind: str) -> Maker:
    def make(call: Call, dims: int) -> Layer:
        from modelcli.feature_maps.layers.padding import Pad

        pads = _get(call, "padding", 0)
        pads = (pads,) * (2 * dims) if isinstance(pads, int) else pads
        return Pad(name=call.path, pads=pads, mode=kind, name_shown=call.base)

    return make


def _flatten(call: Call, dims: int) -> Layer | None:
    from modelcli.feature_maps.layers.simple import Flatten

    # the function joins from axis 0 by default, the module from axis 1
    default = 1 if call.kind == "module" else 0
    return Flatten(
        name=call.path,
        start=_positional(call, 0, "start_dim", default),
        end=_positional(call, 1, "end_dim", -1),
    )


_MAKERS: dict[str, Maker] = {
    "conv": _convolution,
    "convtranspose": _transposed,
    "maxpool": _pooling("max"),
    "avgpool": _pooling("avg"),
    "lppool": _pooling("lp"),
    "adaptivemaxpool": _adaptive("max"),
    "adaptiveavgpool": _adaptive("avg"),
    "fractionalmaxpool": _fractional,
    "unfold": _unfold,
    "fold": _fold,
    "pixelshuffle": _shuffle,
    "pixelunshuffle": _unshuffle,
    "interpolate": _resize,
    "upsample": _resize,
    "upsamplenearest": _resize,
    "upsamplebilinear": _resize,
    "upsamplingnearest": _resize,
    "upsamplingbilinear": _resize,
    "pad": _pad,
    "flatten": _flatten,
    **{name: _pad_module(mode) for name, mode in _PAD_MODES.items()},
}

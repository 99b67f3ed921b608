"""From an observed call to the layer of the arithmetic that should give the same shape."""

from __future__ import annotations

import re

from modelcli.feature_maps.factory import Site, make_layer
from modelcli.feature_maps.layers.convolution import Convolution
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.layers.pooling import Pooling
from modelcli.feature_maps.record import AxisResult
from modelcli.feature_maps.refusal import ShapeError
from modelcli.tracing.record import Call

_NAME = re.compile(r"(?P<kind>.*?)_?((?P<dims>[123])d(_with_indices)?)?")
_NO_MAPS = ("linear", "pointwise", "depthwise")  # they move no cell, or are words of ours


def layer_of(call: Call, *, dense: bool = False) -> Layer | None:
    """Return the layer that a call is, or None where it does not change a feature map.

    Functions and modules are told apart by nothing: ``F.max_pool2d`` and ``nn.MaxPool2d`` are the
    same arithmetic.

    Args:
        call: with the shapes of its inputs.
        dense: whether a dense layer is wanted too.
    """
    match = _NAME.fullmatch(call.base.lower().rstrip("_"))
    if match is None or not call.input_shapes:
        return None
    kind = match["kind"].replace("_", "").removeprefix("lazy")
    if kind in _NO_MAPS and not (dense and kind == "linear"):
        return None
    options = dict(call.geometry)
    if kind == "flatten" and call.kind == "op":
        options.setdefault("start_dim", 0)  # the module joins from axis 1 by default
    shape = call.input_shapes[0]
    dims = len(shape) - 2 if kind.startswith(("upsampl", "interpolate")) else match["dims"] or 0
    site = Site(shape=shape, dims=int(dims), name=call.path, shown=call.type)
    return make_layer(kind, options, site)


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

"""One factory for every layer: from its name and torch's own options, wherever they come from.

A typed word and an observed call end here alike. A family's file is imported when its first layer
is made: few models have all of them, and the table of a small one should not wait for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, cast

from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.record import Shape

Options = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a layer stands.

    Attributes:
        shape: what reaches it.
        dims: how many axes are places, 0 where its name does not say.
        name: its path or the word that was typed.
        shown: its type as torch calls it there, empty for the usual one.
    """

    shape: Shape
    dims: int
    name: str
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How a kind of layer is made.

    Attributes:
        made: its file in ``layers`` and its class.
        fixed: options that the kind itself decides.
        renamed: torch's options that the class knows under one common name.
        needs: the option without which the call is another thing.
        prepare: changes the options of one layer first.
    """

    made: str
    fixed: Options = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    prepare: Callable[[Options, Site], Options] | None = None


def make_layer(kind: str, given: Mapping[str, Any], site: Site) -> Layer | None:
    """Return a layer, or None where no factory has that name or the call is another thing.

    Args:
        kind: torch's name in small letters without its axes: ``conv``, ``maxpool``, ``pad``.
        given: options under torch's names, ``kernel_size``, ``ceil_mode``; others are passed over.
        site: where it stands.
    """
    plan = PLANS.get(kind)
    if plan is None:
        return None
    named: Options = {
        plan.renamed.get(name, name): value
        for name, value in given.items()
        if value is not None and value != ()
    }
    options = named if plan.prepare is None else plan.prepare(named, site)
    if plan.needs and plan.needs not in options:
        return None
    file, _, name = plan.made.partition(":")
    made = getattr(import_module(f"modelcli.feature_maps.layers.{file}"), name)
    known = {each.name for each in fields(made)}
    given = {"dims": site.dims, **options, **plan.fixed, "name": site.name, "shown": site.shown}
    return cast(Layer, made(**{name: value for name, value in given.items() if name in known}))


def _weighted(options: Options, site: Site, *, back: bool = False) -> Options:
    """Take kernel and channels from the weight where there is one: it is what was really used."""
    weight = options.get("weight_shape")
    if weight:
        channels = weight[0], weight[1] * options.get("groups", 1)
        options |= dict(zip(_CHANNELS if back else _CHANNELS[::-1], channels, strict=True))
        options["kernel_size"] = weight[2:]
    return options


_CHANNELS = ("in_channels", "out_channels")


def _transposed(options: Options, site: Site) -> Options:
    return _requested(_weighted(options, site, back=True), site)


def _requested(options: Options, site: Site) -> Options:
    size = options.get("output_size")
    if isinstance(size, tuple):
        options["output_size"] = size[-site.dims :]  # torch takes batch and channels with it
    return options


def _depthwise(options: Options, site: Site) -> Options:
    channels = site.shape[-site.dims - 1] if len(site.shape) > site.dims else 1
    return {"out_channels": channels, **options, "groups": channels}


def _linear(options: Options, site: Site) -> Options:
    weight = options.get("weight_shape")
    if weight and len(weight) == 2:
        options |= {"out_features": weight[0], "in_features": weight[1]}
    return options


def _pad_layer(options: Options, site: Site) -> Options:
    pads = options.get("padding", 0)
    return {"pad": (pads,) * (2 * site.dims) if isinstance(pads, int) else pads}


_SMOOTH: Options = {"mode": "bilinear", "align_corners": True}
_FACTOR = {"upscale_factor": "factor", "downscale_factor": "factor"}
PLANS: dict[str, _Plan] = {
    "conv": _Plan(made="convolution:Convolution", prepare=_weighted),
    "depthwise": _Plan(made="convolution:Convolution", prepare=_depthwise),
    "convtranspose": _Plan(made="transposed:TransposedConvolution", prepare=_transposed),
    "maxpool": _Plan(made="pooling:Pooling", fixed={"kind": "Max"}),
    "avgpool": _Plan(made="pooling:Pooling", fixed={"kind": "Avg"}),
    "lppool": _Plan(made="pooling:Pooling", fixed={"kind": "LP"}),
    "maxunpool": _Plan(made="transposed:MaxUnpooling", prepare=_requested),
    "adaptivemaxpool": _Plan(made="pooling:AdaptivePooling", fixed={"kind": "Max"}),
    "adaptiveavgpool": _Plan(made="pooling:AdaptivePooling", fixed={"kind": "Avg"}),
    "fractionalmaxpool": _Plan(made="pooling:FractionalPooling"),
    **{
        name: _Plan(made="resize:Resize", fixed=fixed)
        for name, fixed in (
            ("interpolate", {}), ("upsample", {}), ("upsamplenearest", {}),
            ("upsamplingnearest", {}), ("upsamplebilinear", _SMOOTH),
            ("upsamplingbilinear", _SMOOTH),
        )
    },
    "unfold": _Plan(made="patches:Unfold", fixed={"dims": 2}, needs="kernel_size"),
    "fold": _Plan(made="patches:Fold", fixed={"dims": 2}),
    "pixelshuffle": _Plan(made="patches:PixelShuffle", renamed=_FACTOR),
    "pixelunshuffle": _Plan(made="patches:PixelShuffle", fixed={"reverse": True}, renamed=_FACTOR),
    "pad": _Plan(made="padding:Pad", needs="pad"),
    **{
        f"{name}pad": _Plan(made="padding:Pad", fixed={"mode": mode}, prepare=_pad_layer)
        for name, mode in (
            ("zero", "zeros"), ("constant", "constant"), ("reflection", "reflect"),
            ("replication", "replicate"), ("circular", "circular"),
        )
    },
    "flatten": _Plan(made="simple:Flatten"),
    "linear": _Plan(made="simple:Linear", needs="out_features", prepare=_linear),
    "pointwise": _Plan(made="simple:Pointwise"),
}  # fmt: skip

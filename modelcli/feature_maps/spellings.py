"""The layers that the little language knows, and the options that they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """What the language knows of one layer.

    Attributes:
        kind: its name in the factory.
        type: the class that it is in torch, for layers that keep the shape.
        first: the option that a bare number stands for, or empty.
        needs: the options without which it cannot be made.
        about: one line for people, as ``example`` is a word that works.
        aliases: other spellings; torch's class names are understood as well.
    """

    name: str
    kind: str
    about: str
    example: str
    type: str = ""
    first: str = ""
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


def _made(name: str, example: str, about: str, options: str = "", **rest: str) -> LayerSpec:
    """Return a layer that is made from options; lists are written with spaces."""
    lists = {"options": options, "needs": rest.get("needs", ""), "aliases": rest.get("aliases", "")}
    split = {key: tuple(words.split()) for key, words in lists.items()}
    given: dict[str, Any] = {"kind": name, **rest, **split}
    return LayerSpec(name=name, example=example, about=about, **given)


def _kept(name: str, type: str, aliases: str = "") -> LayerSpec:
    """Return a layer that keeps the shape, and may carry any number."""
    about = f"{type}: the shape stays"
    return _made(name, name, about, kind="pointwise", type=type, first="any", aliases=aliases)


_WINDOW = "kernel stride padding dilation"

VOCABULARY = (
    _made("conv", "conv:64,k7,s2,p3", "convolution; a bare number is the channels that leave",
          f"{_WINDOW} groups", first="channels", needs="kernel", aliases="convolution"),
    _made("dwconv", "dwconv:k3,s2,p1", "depthwise convolution: one group for each channel",
          _WINDOW, kind="depthwise", first="channels", needs="kernel"),
    _made("convT", "convT:64,k4,s2,p1", "transposed convolution",
          f"{_WINDOW} groups output_padding output_size", kind="convtranspose", first="channels",
          needs="kernel", aliases="convtranspose deconv"),
    _made("maxpool", "maxpool:k3,s2,p1",
          "max pooling; the stride is the kernel's size unless given",
          f"{_WINDOW} ceil", first="kernel", needs="kernel"),
    _made("avgpool", "avgpool:2", "average pooling",
          "kernel stride padding ceil", first="kernel", needs="kernel"),
    _made("lppool", "lppool:k2", "Lp pooling",
          "kernel stride ceil", first="kernel", needs="kernel"),
    _made("fracpool", "fracpool:k2,ratio=0.7", "fractional max pooling, to a size or a ratio",
          "kernel output_size ratio", kind="fractionalmaxpool", first="output_size",
          needs="kernel", aliases="fractionalmaxpool fracmaxpool"),
    _made("adaptiveavg", "adaptiveavg:7", "adaptive average pooling to a size",
          "output_size", kind="adaptiveavgpool", first="output_size", needs="output_size",
          aliases="adaptiveavgpool aavgpool"),
    _made("adaptivemax", "adaptivemax:1", "adaptive max pooling to a size",
          "output_size", kind="adaptivemaxpool", first="output_size", needs="output_size",
          aliases="adaptivemaxpool amaxpool"),
    _made("gap", "gap", "global average pooling: one cell is left",
          kind="adaptiveavgpool", aliases="globalavgpool"),
    _made("upsample", "upsample:x2,mode=bilinear",
          "upsampling by a factor or to a size; mode=nearest unless given",
          "scale output_size mode corners", first="scale", aliases="interpolate resize"),
    _made("pixelshuffle", "pixelshuffle:2",
          "channels to places: C*r*r x H x W to C x rH x rW",
          "factor", first="factor", needs="factor"),
    _made("pixelunshuffle", "pixelunshuffle:2", "places to channels",
          "factor", first="factor", needs="factor"),
    _made("pad", "pad:1,mode=reflect",
          "padding on both sides: one number, one per axis, or before and after of every axis, "
          "the last axis first; mode=reflect, replicate or circular",
          "padding mode", first="padding", needs="padding", aliases="zeropad"),
    _made("unfold", "unfold:k3,p1", "windows laid out as columns",
          _WINDOW, first="kernel", needs="kernel"),
    _made("fold", "fold:32x32,k3,p1", "columns added back into a map",
          f"{_WINDOW} output_size", first="output_size", needs="kernel output_size"),
    _made("flatten", "flatten", "all but the batch in one axis"),
    _made("linear", "linear:10", "dense layer on the last axis",
          first="channels", needs="channels", aliases="fc dense"),
    _kept("bn", "BatchNorm", "batchnorm"), _kept("gn", "GroupNorm", "groupnorm"),
    _kept("ln", "LayerNorm", "layernorm"), _kept("in", "InstanceNorm", "instancenorm"),
    _kept("lrn", "LocalResponseNorm", "localresponsenorm"), _kept("relu", "ReLU"),
    _kept("relu6", "ReLU6"), _kept("leakyrelu", "LeakyReLU"), _kept("prelu", "PReLU"),
    _kept("elu", "ELU"), _kept("gelu", "GELU"), _kept("silu", "SiLU", "swish"),
    _kept("mish", "Mish"), _kept("hardswish", "Hardswish"), _kept("sigmoid", "Sigmoid"),
    _kept("tanh", "Tanh"), _kept("softmax", "Softmax"), _kept("dropout", "Dropout", "drop"),
    _kept("identity", "Identity", "id"),
)  # fmt: skip

# option -> its letter, its long spellings
OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "channels": ("c", ("channels", "out", "out_channels", "features", "out_features")),
    "kernel": ("k", ("kernel", "kernel_size")),
    "stride": ("s", ("stride",)),
    "padding": ("p", ("padding", "pad", "pads")),
    "dilation": ("d", ("dilation",)),
    "groups": ("g", ("groups",)),
    "output_padding": ("op", ("output_padding",)),
    "output_size": ("o", ("output_size", "size")),
    "scale": ("x", ("scale", "scale_factor")),
    "ratio": ("", ("ratio", "output_ratio")),
    "factor": ("r", ("factor", "upscale_factor", "downscale_factor")),
    "mode": ("", ("mode",)),
    "ceil": ("", ("ceil", "ceil_mode")),
    "corners": ("", ("corners", "align_corners")),
}

SWITCHES = ("ceil", "corners")


def show_option(option: str) -> str:
    """Write an option as people type it: ``k (kernel)``, ``mode=``, ``ceil``."""
    letter, _ = OPTIONS[option]
    if option in SWITCHES:
        return option
    return f"{letter} ({option})" if letter else f"{option}="

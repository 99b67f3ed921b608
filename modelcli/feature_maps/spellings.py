"""The layers that the little language knows, and the options that they take."""

from __future__ import annotations

from dataclasses import dataclass


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


_WINDOW = ("kernel", "stride", "padding", "dilation")

VOCABULARY = (
    LayerSpec(
        name="conv", kind="conv", first="channels", options=(*_WINDOW, "groups"),
        needs=("kernel",), about="convolution; a bare number is the channels that leave",
        example="conv:64,k7,s2,p3", aliases=("convolution",),
    ),
    LayerSpec(
        name="dwconv", kind="depthwise", first="channels", options=_WINDOW,
        needs=("kernel",), about="depthwise convolution: one group for each channel",
        example="dwconv:k3,s2,p1",
    ),
    LayerSpec(
        name="convT", kind="convtranspose", first="channels",
        options=(*_WINDOW, "groups", "output_padding", "output_size"), needs=("kernel",),
        about="transposed convolution", example="convT:64,k4,s2,p1",
        aliases=("convtranspose", "deconv"),
    ),
    LayerSpec(
        name="maxpool", kind="maxpool", first="kernel", options=(*_WINDOW, "ceil"),
        needs=("kernel",), about="max pooling; the stride is the kernel's size unless given",
        example="maxpool:k3,s2,p1",
    ),
    LayerSpec(
        name="avgpool", kind="avgpool", first="kernel",
        options=("kernel", "stride", "padding", "ceil"), needs=("kernel",),
        about="average pooling", example="avgpool:2",
    ),
    LayerSpec(
        name="lppool", kind="lppool", first="kernel",
        options=("kernel", "stride", "ceil"), needs=("kernel",), about="Lp pooling",
        example="lppool:k2",
    ),
    LayerSpec(
        name="fracpool", kind="fractionalmaxpool", first="output_size",
        options=("kernel", "output_size", "ratio"), needs=("kernel",),
        about="fractional max pooling, to a size or a ratio",
        example="fracpool:k2,ratio=0.7", aliases=("fractionalmaxpool", "fracmaxpool"),
    ),
    LayerSpec(
        name="adaptiveavg", kind="adaptiveavgpool", first="output_size",
        options=("output_size",), needs=("output_size",),
        about="adaptive average pooling to a size", example="adaptiveavg:7",
        aliases=("adaptiveavgpool", "aavgpool"),
    ),
    LayerSpec(
        name="adaptivemax", kind="adaptivemaxpool", first="output_size",
        options=("output_size",), needs=("output_size",), about="adaptive max pooling to a size",
        example="adaptivemax:1", aliases=("adaptivemaxpool", "amaxpool"),
    ),
    LayerSpec(
        name="gap", kind="adaptiveavgpool", about="global average pooling: one cell is left",
        example="gap", aliases=("globalavgpool",),
    ),
    LayerSpec(
        name="upsample", kind="upsample", first="scale",
        options=("scale", "output_size", "mode", "corners"),
        about="upsampling by a factor or to a size; mode=nearest unless given",
        example="upsample:x2,mode=bilinear", aliases=("interpolate", "resize"),
    ),
    LayerSpec(
        name="pixelshuffle", kind="pixelshuffle", first="factor", options=("factor",),
        needs=("factor",), about="channels to places: C*r*r x H x W to C x rH x rW",
        example="pixelshuffle:2",
    ),
    LayerSpec(
        name="pixelunshuffle", kind="pixelunshuffle", first="factor",
        options=("factor",), needs=("factor",), about="places to channels",
        example="pixelunshuffle:2",
    ),
    LayerSpec(
        name="pad", kind="pad", first="padding", options=("padding", "mode"),
        needs=("padding",),
        about="padding on both sides: one number, one per axis, or before and after of every "
        "axis, the last axis first; mode=reflect, replicate or circular",
        example="pad:1,mode=reflect", aliases=("zeropad",),
    ),
    LayerSpec(
        name="unfold", kind="unfold", first="kernel", options=_WINDOW, needs=("kernel",),
        about="windows laid out as columns", example="unfold:k3,p1",
    ),
    LayerSpec(
        name="fold", kind="fold", first="output_size", options=(*_WINDOW, "output_size"),
        needs=("kernel", "output_size"), about="columns added back into a map",
        example="fold:32x32,k3,p1",
    ),
    LayerSpec(name="flatten", kind="flatten", about="all but the batch in one axis",
            example="flatten"),
    LayerSpec(
        name="linear", kind="linear", first="channels", needs=("channels",),
        about="dense layer on the last axis", example="linear:10", aliases=("fc", "dense"),
    ),
    *(
        LayerSpec(name=name, kind="pointwise", type=kind, first="any", aliases=aliases,
                  about=f"{kind}: the shape stays", example=name)
        for name, kind, aliases in (
            ("bn", "BatchNorm", ("batchnorm",)), ("gn", "GroupNorm", ("groupnorm",)),
            ("ln", "LayerNorm", ("layernorm",)), ("in", "InstanceNorm", ("instancenorm",)),
            ("lrn", "LocalResponseNorm", ("localresponsenorm",)),
            ("relu", "ReLU", ()), ("relu6", "ReLU6", ()), ("leakyrelu", "LeakyReLU", ()),
            ("prelu", "PReLU", ()), ("elu", "ELU", ()), ("gelu", "GELU", ()),
            ("silu", "SiLU", ("swish",)), ("mish", "Mish", ()), ("hardswish", "Hardswish", ()),
            ("sigmoid", "Sigmoid", ()), ("tanh", "Tanh", ()), ("softmax", "Softmax", ()),
            ("dropout", "Dropout", ("drop",)), ("identity", "Identity", ("id",)),
        )
    ),
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

"""The little language of layers: ``conv:64,k7,s2,p3 bn relu maxpool:k3,s2,p1 flatten linear:10``.

A word is a layer's name, then after a colon its items, separated by commas. An item is a number
(``64``), a letter with a number (``k7``, ``s2x1``), the same written out (``kernel=7``) or a switch
(``ceil``). Errors name the word, its position and the item.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modelcli.errors import did_you_mean
from modelcli.feature_maps.refusal import ShapeError

Value = tuple[int, ...] | tuple[float, ...] | str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One parsed word.

    Attributes:
        position: 1 for the first.
        dims: 1, 2 or 3 where the name ends in ``1d`` and so on, else None.
        options: what was given, by option.
    """

    text: str
    position: int
    spec: LayerSpec
    dims: int | None = None
    options: dict[str, Value] = field(default_factory=dict)

    def refusal(self, message: str, hint: str) -> ShapeError:
        """Return an error that points at this word."""
        return ShapeError(f"word {self.position}, '{self.text}': {message}", hint)


_WORDS_AS_VALUES = {"padding": ("same", "valid")}
_ITEM = re.compile(r"(?P<letter>[A-Za-z_]*)=?(?P<numbers>-?[0-9.]+(?:x-?[0-9.]+)*)")


def parse_words(texts: Sequence[str]) -> tuple[Word, ...]:
    """Return the words of a stack.

    Raises:
        ShapeError: an unknown layer, an unknown option, or a value that is no number; the message
            names the word and its position.
    """
    return tuple(parse_word(text, position) for position, text in enumerate(texts, start=1))


def parse_word(text: str, position: int = 1) -> Word:
    """Return one word, with the options that its items give."""
    name, _, rest = text.partition(":")
    spec, dims = _find(name)
    if spec is None:
        did = did_you_mean(name, [spec.name for spec in VOCABULARY], kind="layer")
        raise ShapeError(
            f"word {position}, '{text}': no layer is called '{name}'",
            f"{did}'modelcli shapes --layers' lists what can be written",
        )
    word = Word(text=text, position=position, spec=spec, dims=dims)
    for item in (item.strip() for item in rest.split(",")):
        if item:
            option, value = _parse_item(item, word)
            if option in word.options:
                raise word.refusal(f"'{item}' gives the {option} again", "give it once")
            word.options[option] = value
    return word


def is_layer_name(name: str) -> bool:
    """Tell whether a word's first part names a layer: ``conv``, ``MaxPool2d``."""
    return _find(name)[0] is not None


def _find(name: str) -> tuple[LayerSpec | None, int | None]:
    bare, dims = name.strip(), None
    match = re.fullmatch(r"(?i)(.+?)([123])d", bare)
    if match:
        bare, dims = match.group(1), int(match.group(2))
    known = {
        spelling.lower(): spec
        for spec in VOCABULARY
        for spelling in (spec.name, spec.type, *spec.aliases)
        if spelling
    }
    return known.get(bare.lower()), dims


def _parse_item(item: str, word: Word) -> tuple[str, Value]:
    spec = word.spec
    if spec.first == "any":
        return item, item  # layers that keep the shape may carry any number
    if item in SWITCHES and item in spec.options:
        return item, item
    for option, values in _WORDS_AS_VALUES.items():
        if item in values and option in spec.options:
            return option, item
    key, equals, value = item.partition("=")
    if equals and not re.fullmatch(r"-?[0-9.x-]+", value):
        return _parse_text(key, value, item, word)
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _unknown(item, word)
    letter = match.group("letter")
    option = spec.first if not letter else _option(letter, word)
    if not option:
        raise _unknown(item, word)
    return option, _numbers(match.group("numbers"), item, option, word)


def _parse_text(key: str, value: str, item: str, word: Word) -> tuple[str, Value]:
    option = _option(key, word)
    if option == "mode" or value in _WORDS_AS_VALUES.get(option, ()):
        return option, value
    if option in SWITCHES and value.lower() in ("true", "false"):
        return option, value.lower() if value.lower() == "true" else ""
    raise _unknown(item, word)


def _option(letter: str, word: Word) -> str:
    takes = (*word.spec.options, word.spec.first)
    for option, (short, spellings) in OPTIONS.items():
        if option in takes and letter.lower() in (short, *spellings):
            return option
    return ""


def _numbers(text: str, item: str, option: str, word: Word) -> Value:
    parts = text.split("x")
    try:
        if option in ("scale", "ratio"):
            return tuple(float(part) for part in parts)
        return tuple(int(part) for part in parts)
    except ValueError:
        raise word.refusal(
            f"'{item}' is no whole number", f"write it like {word.spec.example}"
        ) from None


def _unknown(item: str, word: Word) -> ShapeError:
    spec = word.spec
    takes = [show_option(option) for option in spec.options]
    if spec.first and spec.first not in spec.options:
        takes.insert(0, f"a number ({spec.first})")
    listed = f"{spec.name} takes {', '.join(takes)}" if takes else f"{spec.name} takes none"
    return word.refusal(f"'{item}' is not understood", f"{listed}: {spec.example}")

"""From words of the little language to layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from modelcli.feature_maps.layers.adaptive import AdaptivePooling, FractionalPooling
from modelcli.feature_maps.layers.convolution import Convolution, Padding
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.layers.padding import Pad
from modelcli.feature_maps.layers.patches import Fold, Unfold
from modelcli.feature_maps.layers.pooling import Pooling
from modelcli.feature_maps.layers.resize import MODES, Resize
from modelcli.feature_maps.layers.shuffle import PixelShuffle
from modelcli.feature_maps.layers.simple import Flatten, Linear, Pointwise
from modelcli.feature_maps.layers.transposed import TransposedConvolution
from modelcli.feature_maps.record import Shape
from modelcli.feature_maps.stack import MakeLayer
from modelcli.feature_maps.words import Word

_NORMS = ("BatchNorm", "InstanceNorm")


@dataclass(frozen=True, slots=True)
class Site:
    """Where in a stack a layer is made.

    Attributes:
        shape: what reaches it.
        dims: how many axes are places, unless the word itself says it.
        batched: whether the first axis is the batch.
    """

    shape: Shape
    dims: int
    batched: bool


def makers(words: tuple[Word, ...], *, dims: int, batched: bool) -> tuple[MakeLayer, ...]:
    """Return one function per word, from the shape that reaches it to its layer.

    Raises:
        ShapeError: an option is missing, or has more numbers than it can take.
    """
    return tuple(_maker(word, dims, batched) for word in words)


def _maker(word: Word, dims: int, batched: bool) -> MakeLayer:
    for option in word.spec.needs:
        if option not in word.options:
            raise word.refusal(
                f"it lacks its {option.replace('_', ' ')}",
                f"write it as in {word.spec.example}",
            )
    build = _FAMILIES[word.spec.family]

    def make(shape: Shape) -> Layer:
        site = Site(shape, word.dims or max(dims, 1), batched)
        return replace(build(word, site), name=word.text)

    return make


def _ints(word: Word, option: str, default: int | None = None) -> tuple[int, ...] | None:
    value = word.options.get(option)
    if value is None:
        return None if default is None else (default,)
    if isinstance(value, str):
        raise word.refusal(f"the {option} is '{value}'", f"give a number: {word.spec.example}")
    return tuple(int(number) for number in value)


def _sizes(word: Word, option: str, default: int) -> tuple[int, ...]:
    return _ints(word, option, default) or (default,)


def _one(word: Word, option: str, default: int | None = None) -> int | None:
    numbers = _ints(word, option, default)
    if numbers is None:
        return None
    if len(numbers) != 1:
        raise word.refusal(
            f"the {option} has {len(numbers)} numbers", f"give one: {word.spec.example}"
        )
    return numbers[0]


def _conv_padding(word: Word) -> Padding:
    value = word.options.get("padding")
    if value == "same":
        return "same"
    if value == "valid":
        return "valid"
    return _sizes(word, "padding", 0)


def _conv(word: Word, site: Site) -> Layer:
    dims = site.dims
    channels = site.shape[-dims - 1] if len(site.shape) > dims else 1
    depthwise = word.spec.kind == "depthwise"
    return Convolution(
        dims=dims,
        kernel=_sizes(word, "kernel", 1),
        out_channels=_one(word, "channels", channels if depthwise else None),
        stride=_sizes(word, "stride", 1),
        padding=_conv_padding(word),
        dilation=_sizes(word, "dilation", 1),
        groups=channels if depthwise else (_sizes(word, "groups", 1))[0],
    )


def _conv_transposed(word: Word, site: Site) -> Layer:
    return TransposedConvolution(
        dims=site.dims,
        kernel=_sizes(word, "kernel", 1),
        out_channels=_one(word, "channels"),
        stride=_sizes(word, "stride", 1),
        padding=_sizes(word, "padding", 0),
        output_padding=_sizes(word, "output_padding", 0),
        dilation=_sizes(word, "dilation", 1),
        groups=_sizes(word, "groups", 1)[0],
        output_size=_ints(word, "output_size"),
    )


def _pool(word: Word, site: Site) -> Layer:
    kinds = {"max": "max", "avg": "avg", "lp": "lp"}
    kind = kinds[word.spec.kind]
    return Pooling(
        dims=site.dims,
        kind="max" if kind == "max" else "avg" if kind == "avg" else "lp",
        kernel=_sizes(word, "kernel", 1),
        stride=_ints(word, "stride"),
        padding=_sizes(word, "padding", 0),
        dilation=_sizes(word, "dilation", 1),
        ceil=bool(word.options.get("ceil")),
    )


def _fractional(word: Word, site: Site) -> Layer:
    ratio = word.options.get("ratio")
    dims = site.dims
    ratios = None if ratio is None or isinstance(ratio, str) else tuple(map(float, ratio))
    if ratios is not None and len(ratios) == 1:
        ratios = ratios * dims
    return FractionalPooling(
        dims=dims,
        kernel=_sizes(word, "kernel", 1),
        output_size=_ints(word, "output_size"),
        output_ratio=ratios,
    )


def _adaptive(word: Word, site: Site) -> Layer:
    return AdaptivePooling(
        dims=site.dims,
        kind="max" if word.spec.kind == "max" else "avg",
        output_size=_ints(word, "output_size", 1),
    )


def _resize(word: Word, site: Site) -> Layer:
    dims = site.dims
    scale = word.options.get("scale")
    factors = None if scale is None or isinstance(scale, str) else tuple(map(float, scale))
    if factors is not None and len(factors) == 1:
        factors = factors * dims
    mode = str(word.options.get("mode", "nearest"))
    if mode not in MODES:
        raise word.refusal(f"mode '{mode}' is unknown", f"the modes are {', '.join(MODES)}")
    return Resize(
        dims=dims,
        size=_ints(word, "output_size"),
        scale=factors,
        mode=mode,
        align_corners=bool(word.options.get("corners")),
        needs_batch=site.batched,
    )


def _shuffle(word: Word, site: Site) -> Layer:
    return PixelShuffle(factor=_one(word, "factor", 1) or 0, reverse=word.spec.kind == "reverse")


def _pad(word: Word, site: Site) -> Layer:
    dims = site.dims
    numbers = _sizes(word, "padding", 0)
    if len(numbers) == 1:
        numbers = numbers * 2 * dims
    elif len(numbers) == dims:  # one per axis, outermost first, as everywhere else
        numbers = tuple(number for number in reversed(numbers) for _ in range(2))
    elif len(numbers) != 2 * dims:
        raise word.refusal(
            f"{len(numbers)} numbers for {dims} axes", f"give 1, {dims} or {2 * dims} numbers"
        )
    return Pad(pads=numbers, mode=str(word.options.get("mode", word.spec.kind)))


def _unfold(word: Word, site: Site) -> Layer:
    return Unfold(
        kernel=_sizes(word, "kernel", 1),
        stride=_sizes(word, "stride", 1),
        padding=_sizes(word, "padding", 0),
        dilation=_sizes(word, "dilation", 1),
    )


def _fold(word: Word, site: Site) -> Layer:
    return Fold(
        output_size=_sizes(word, "output_size", 1),
        kernel=_sizes(word, "kernel", 1),
        stride=_sizes(word, "stride", 1),
        padding=_sizes(word, "padding", 0),
        dilation=_sizes(word, "dilation", 1),
    )


def _linear(word: Word, site: Site) -> Layer:
    features = _one(word, "channels") or 0
    if features < 1:
        raise word.refusal("it has no features", f"give 1 or more: {word.spec.example}")
    return Linear(out_features=features)


def _point(word: Word, site: Site) -> Layer:
    kind = word.spec.kind
    if kind in _NORMS:
        kind += f"{site.dims}d"
    return Pointwise(kind=kind)


_FAMILIES: dict[str, Callable[[Word, Site], Layer]] = {
    "conv": _conv,
    "convT": _conv_transposed,
    "pool": _pool,
    "fractional": _fractional,
    "adaptive": _adaptive,
    "global": lambda word, site: AdaptivePooling(dims=site.dims, kind="avg", output_size=1),
    "resize": _resize,
    "shuffle": _shuffle,
    "pad": _pad,
    "unfold": _unfold,
    "fold": _fold,
    "flatten": lambda word, site: Flatten(start=1 if site.batched else 0),
    "linear": _linear,
    "point": _point,
}

"""Sizes for the dimensions that no layer fixes: what the model says, then what is common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.modules import modules_of, named_modules

# Common sizes of the field first: ImageNet crops, CIFAR, MNIST, then what small examples use.
_IMAGES = (224, 256, 32, 28, 64, 128, 96, 48, 299, 384, 227, 112, 512, 84, 100, 150, 160, 16, 8)
_GREY = (28, 32, 64, 224, 128, 256, 48, 96, 16, 8)
_LENGTHS = (128, 64, 32, 16, 100, 256, 512, 1000, 1024, 8, 28, 4, 1)
_SOUNDS = (16000, 1024, 1000, 512, 256, 128, 100, 64, 32, 28, 16, 8)
_FIRST_MAPS = (1, 4, 7, 8, 16, 32, 64)
_VOLUMES = (
    (16, 112, 112), (16, 64, 64), (8, 224, 224), (8, 112, 112), (8, 64, 64), (8, 32, 32),
    (32, 32, 32), (64, 64, 64), (16, 224, 224),
)  # fmt: skip
_CUBES = ((64, 64, 64), (32, 32, 32), (128, 128, 128), (16, 112, 112), (16, 16, 16))
_NODES, _EDGES = 16, 32
SWEEP = range(4, 257)
_LEAST_SIDE = 8  # what is below is rather a number of channels

_IMAGE_NAMES = tuple(
    "img_size image_size input_resolution img_resolution input_size image_resolution resolution "
    "input_shape in_size crop_size imgsz".split()
)
_LENGTH_NAMES = tuple(
    "sequence_length seq_length seq_len context_length block_size input_length input_len "
    "window_length lookback".split()
)
_LIMIT_NAMES = tuple(
    "max_len max_length max_seq_len max_sequence_length max_position max_position_embeddings "
    "n_positions n_ctx max_seq_length maxlen max_tokens num_positions".split()
)
_WIDTH_NAMES = (
    "in_features", "input_dim", "input_size", "dim", "d_model", "embed_dim", "hidden_size", "n_embd"
)  # fmt: skip
_SOUND_NAMES = ("num_samples", "n_samples", "audio_length", "sample_length", "segment_length")
_CONFIGS = ("config", "cfg", "hparams", "args", "opt", "options", "params")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Values for letters of a shape.

    Attributes:
        sizes: by letter.
        says: for people, where they come from.
        is_small: whether what is common did not run, or was not tried.
        is_said: whether the model itself says it.
    """

    sizes: Mapping[str, int]
    says: str
    is_small: bool = False
    is_said: bool = False


def choices(
    model: nn.Module, letters: str, channels: int, limits: Sequence[tuple[int, str]] = ()
) -> list[Choice]:
    """Return values for the letters of a shape, the likeliest first.

    Args:
        letters: ``HW``, ``DHW``, ``L``, ``A`` or ``G``.
        channels: of the images, which decide what is common.
        limits: the most steps that a sequence can have, and what says so.
    """
    if letters == "HW":
        said = [_said({"H": h, "W": w}, name) for h, w, name in _image_sizes(model)]
        common = _GREY if channels == 1 else _IMAGES
        least = 28 if channels == 1 else 32
        return [*said, *(_common({"H": s, "W": s}, s < least) for s in common)]
    if letters == "DHW":
        common3 = _VOLUMES if channels == 3 else _CUBES
        return [_common({"D": d, "H": h, "W": w}, d < 16 or h < 64) for d, h, w in common3]
    if letters == "L":
        return list(_lengths(model, limits))
    if letters == "A":
        said = [_said({"A": v}, n) for v, n in _attributes(model, _SOUND_NAMES) if _is_size(v)]
        lengths = [_said({"A": v}, n) for v, n in _attributes(model, _LENGTH_NAMES) if _is_size(v)]
        return [*said, *lengths, *(_common({"A": s}, s < 1000) for s in _SOUNDS)]
    if letters == "G":
        return [_common({"G": s}, False) for s in _FIRST_MAPS]
    return [Choice(sizes={}, says="")]


def swept(letters: str) -> Iterator[Choice]:
    """Yield every size in turn, for a model that only one size fits."""
    for size in SWEEP:
        if letters in ("HW", "L", "A"):
            yield Choice(
                sizes=dict.fromkeys(letters, size), says="the first size that runs",
                is_small=size < 32,
            )  # fmt: skip


def own_widths(name: str) -> tuple[str, ...]:
    """Return how a model calls the features of one of its inputs."""
    last = name.rpartition(".")[2]
    return tuple(f"{last}{end}" for end in ("_dim", "_size", "_features", "_channels"))


def widths(model: nn.Module, names: tuple[str, ...] = _WIDTH_NAMES) -> Iterator[tuple[int, str]]:
    """Yield how many features a model says that it works with, and where."""
    for value, name in _attributes(model, names):
        if _is_size(value):
            yield value, name


def graph_sizes() -> dict[str, int]:
    """Return how many nodes and edges an example graph has."""
    return {"N": _NODES, "E": _EDGES}


def _said(sizes: dict[str, int], name: str) -> Choice:
    return Choice(sizes=sizes, says=name, is_said=True)


def _common(sizes: dict[str, int], is_small: bool) -> Choice:
    says = "small: no common size was found to run" if is_small else "a common size"
    return Choice(sizes=sizes, says=says, is_small=is_small)


def _lengths(model: nn.Module, known: Sequence[tuple[int, str]]) -> Iterator[Choice]:
    for value, name in _attributes(model, _LENGTH_NAMES):
        if _is_size(value) and value <= 4096:
            yield _said({"L": value}, name)
    limits = [(v, n) for v, n in _attributes(model, _LIMIT_NAMES) if _is_size(v)]
    limits += [*_positions(model), *known]
    limit, name = min(limits, default=(1 << 31, ""))
    if limit < _LENGTHS[0]:
        yield _said({"L": limit}, name)
    for length in _LENGTHS:
        if length <= limit:
            yield _common({"L": length}, length < _LENGTHS[0])


def _positions(model: nn.Module) -> Iterator[tuple[int, str]]:
    """Yield how many positions a table or a parameter of positions has."""
    for path, module in named_modules(model):
        if isinstance(module, nn.Embedding) and "pos" in path.rpartition(".")[2].lower():
            yield module.num_embeddings, path
        for name, parameter in module._parameters.items():
            if parameter is not None and "pos" in name.lower() and parameter.dim() in (2, 3):
                yield int(parameter.shape[-2]), f"{path}.{name}".lstrip(".")


def _image_sizes(model: nn.Module) -> Iterator[tuple[int, int, str]]:
    for value, name in _attributes(model, _IMAGE_NAMES):
        sizes = [value, value] if _is_size(value) else value
        if not isinstance(sizes, (tuple, list)) or not all(_is_size(s) for s in sizes):
            continue
        if len(sizes) == 1:
            sizes = [sizes[0], sizes[0]]
        if len(sizes) in (2, 3, 4) and min(sizes[-2:]) >= _LEAST_SIDE:
            yield int(sizes[-2]), int(sizes[-1]), name
    patches = [
        v for v, _ in _attributes(model, ("patch_size", "patch", "patch_len")) if _is_size(v)
    ]
    patches += [
        m.stride[0]
        for m in modules_of(model)
        if isinstance(m, nn.Conv2d) and m.stride == m.kernel_size and m.stride[0] > 1
    ][:1]
    for count, name in _positions(model) if patches else ():
        for tokens in (count, count - 1, count - 2):
            side = math.isqrt(max(tokens, 0))
            if side > 1 and side * side == tokens:
                yield side * patches[0], side * patches[0], name
                break


def _attributes(model: nn.Module, names: tuple[str, ...]) -> Iterator[tuple[Any, str]]:
    """Yield what a model, its configuration and its first parts call by one of these names."""
    holders: list[tuple[str, Any]] = [("", vars(model))]
    for config in _CONFIGS:
        found = vars(model).get(config)
        if found is not None and not isinstance(found, (nn.Module, str, int, float)):
            holders.append((f"{config}.", _as_dict(found)))
    holders.extend((f"{path}.", vars(child)) for path, child in _parts(model))
    for name in names:
        for prefix, holder in holders:
            if name in holder:
                yield holder[name], f"{prefix}{name}"


def _parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for path, module in named_modules(model):
        if path and path.count(".") < 2 and not type(module).__module__.startswith("torch."):
            yield path, module


def _as_dict(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    held = dict(getattr(value, "__dict__", {}))
    slots = getattr(type(value), "__dataclass_fields__", {})
    held.update({n: getattr(value, n) for n in slots if n not in held and hasattr(value, n)})
    return held


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0

"""What a layer says of the input that it takes: its features or channels, its rank, its ids."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelcli.loading.inference.shapes import Dim
from modelcli.modules import modules_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """What fits into one argument of a layer.

    Attributes:
        shapes: what runs, the likeliest first.
        says: for people: ``takes 20 features``.
        dtype: torch's name of the element type, or None for the model's own.
        below: ids are from 0 to below this; None where the values do not matter.
        fill: the one value of all elements, or None.
    """

    shapes: tuple[tuple[Dim, ...], ...]
    says: str
    dtype: str | None = None
    below: int | None = None
    fill: int | None = None


def takes(layer: nn.Module, argument: int | str) -> Takes | None:
    """Return what fits into an argument of a layer; None for a layer that takes any size."""
    for name in _class_names(layer):
        if name in _LAYERS:
            with contextlib.suppress(AttributeError, TypeError):  # another's class of that name
                return _LAYERS[name](layer, argument)
    return None


def _class_names(layer: Any) -> list[str]:
    scripted = vars(layer).get("original_name") or getattr(type(layer), "original_name", None)
    try:
        scripted = layer.original_name if isinstance(layer, torch.jit.ScriptModule) else scripted
    except (AttributeError, RuntimeError):
        scripted = None
    names = [cls.__name__ for cls in type(layer).__mro__]
    return [scripted, *names] if isinstance(scripted, str) else names


def _features(count: int, says: str, dtype: str | None) -> Takes:
    shapes = (("B", count), ("B", "L", count), ("B", "H", "W", count))
    return Takes(shapes=shapes, says=says, dtype=dtype)


def weight_dtype(weight: Any) -> str | None:
    """Return the element type that a weight wants beside it, where that is no plain float."""
    if not isinstance(weight, torch.Tensor):
        return None
    if weight.dtype.is_complex or weight.dtype in (torch.float64, torch.float16, torch.bfloat16):
        return str(weight.dtype)[6:]
    return None


def _linear(layer: Any, argument: int | str) -> Takes | None:
    weight = getattr(layer, "weight", None)
    if callable(weight):  # a quantised layer packs it
        weight = None
    count = getattr(layer, "in_features", None)
    if count is None and weight is not None:
        count = weight.shape[1]
    if argument not in (0, "input"):
        return None
    return _features(int(count or 16), f"takes {count or 'any number of'} features",
                     weight_dtype(weight))  # fmt: skip


def _bilinear(layer: Any, argument: int | str) -> Takes | None:
    count = layer.in2_features if argument in (1, "input2") else layer.in1_features
    return _features(count, f"takes {count} features", weight_dtype(layer.weight))


def _embedding(layer: Any, argument: int | str) -> Takes | None:
    if argument not in (0, "input"):
        return None
    return ids_below(int(getattr(layer, "num_embeddings", None) or layer.weight.shape[0]))


def ids_below(count: int) -> Takes:
    """Return what fits into a table of so many rows."""
    shapes: tuple[tuple[Dim, ...], ...] = (("B", "L"), ("B",), ("B", "L", 4))
    return Takes(shapes=shapes, says=f"takes ids below {count}", dtype="int64", below=count)


def channels(dims: int, count: int, *, lazy: bool = False, dtype: str | None = None) -> Takes:
    """Return what fits into a convolution over so many dimensions."""
    says = "takes any number of channels" if lazy else f"takes {count} channels"
    if dims == 1:
        shape: tuple[Dim, ...] = ("B", count, "A" if count <= 2 else "L")
    else:
        shape = ("B", count, "H", "W") if dims == 2 else ("B", count, "D", "H", "W")
    return Takes(shapes=(shape,), says=says, dtype=dtype)


def _convolution(
    dims: int, *, transposed: bool = False
) -> Callable[[Any, int | str], Takes | None]:
    def find(layer: Any, argument: int | str) -> Takes | None:
        weight = getattr(layer, "weight", None)
        count = getattr(layer, "in_channels", None)
        if count is None and isinstance(weight, torch.Tensor):
            count = weight.shape[0] if transposed else weight.shape[1]
        if argument not in (0, "input"):
            return None
        found = channels(dims, int(count or 3), lazy=not count, dtype=weight_dtype(weight))
        if not transposed or dims != 2:
            return found
        return Takes(shapes=(("B", int(count or 3), "G", "G"),), says=found.says, dtype=found.dtype)

    return find


def _recurrent(layer: Any, argument: int | str) -> Takes | None:
    first = bool(getattr(layer, "batch_first", False))
    if argument in (1, "hx"):
        rows = layer.num_layers * (2 if layer.bidirectional else 1)
        return Takes(shapes=((rows, "B", layer.hidden_size),), says="takes its hidden state")
    size = layer.input_size
    shape: tuple[Dim, ...] = ("B", "L", size) if first else ("L", "B", size)
    return Takes(shapes=(shape,), says=f"takes {size} features")


def _recurrent_cell(layer: Any, argument: int | str) -> Takes | None:
    if argument in (1, "hx"):
        return Takes(shapes=(("B", layer.hidden_size),), says="takes its hidden state")
    return Takes(shapes=(("B", layer.input_size),), says=f"takes {layer.input_size} features")


def _attention(layer: Any, argument: int | str) -> Takes | None:
    if isinstance(argument, str) and "mask" in argument:
        return _mask(argument)
    sizes = {0: layer.embed_dim, "query": layer.embed_dim, 1: layer.kdim, "key": layer.kdim,
             2: layer.vdim, "value": layer.vdim}  # fmt: skip
    return _tokens(sizes[argument], layer.batch_first) if argument in sizes else None


def _tokens(size: int, batch_first: bool) -> Takes:
    shape: tuple[Dim, ...] = ("B", "L", size) if batch_first else ("L", "B", size)
    return Takes(shapes=(shape,), says=f"takes {size} features")


def _mask(argument: str) -> Takes | None:
    shape: tuple[Dim, ...] = ("B", "L") if "padding" in argument else ("L", "L")
    return Takes(shapes=(shape,), says="takes a mask", dtype="bool", fill=0)


def _transformer(layer: Any, argument: int | str) -> Takes | None:
    if isinstance(argument, str) and "mask" in argument:
        return _mask(argument)
    attention = next((m for m in modules_of(layer) if isinstance(m, nn.MultiheadAttention)), None)
    if attention is None or argument not in (0, 1, "src", "tgt", "memory"):
        return None
    return _tokens(attention.embed_dim, attention.batch_first)


def _layer_norm(layer: Any, argument: int | str) -> Takes | None:
    shape = tuple(layer.normalized_shape)
    shapes: tuple[tuple[Dim, ...], ...] = (("B", "L", *shape), ("B", *shape))
    if len(shape) == 1:
        shapes = (*shapes, ("B", "H", "W", *shape))
    else:
        shapes = shapes[::-1]  # it says all of a sample's dimensions
    return Takes(shapes=shapes, says=f"takes {math.prod(shape)} features")


def _batch_norm(dims: int) -> Callable[[Any, int | str], Takes | None]:
    def find(layer: Any, argument: int | str) -> Takes | None:
        count = getattr(layer, "num_features", None) or getattr(layer, "num_channels", None)
        if not count:
            return None
        found = channels(dims, int(count))
        if dims != 1:
            return found
        return Takes(shapes=(("B", int(count), "L"), (2, int(count))), says=found.says)

    return find


def _group_norm(layer: Any, argument: int | str) -> Takes | None:
    count = layer.num_channels
    shapes: tuple[tuple[Dim, ...], ...] = (("B", count, "H", "W"), ("B", count, "L"), ("B", count))
    return Takes(shapes=shapes, says=f"takes {count} channels")


_LAYERS: dict[str, Callable[[Any, int | str], Takes | None]] = {
    "Linear": _linear,
    "Bilinear": _bilinear,
    "Embedding": _embedding,
    "EmbeddingBag": _embedding,
    "Conv1d": _convolution(1),
    "Conv2d": _convolution(2),
    "Conv3d": _convolution(3),
    "ConvTranspose1d": _convolution(1, transposed=True),
    "ConvTranspose2d": _convolution(2, transposed=True),
    "ConvTranspose3d": _convolution(3, transposed=True),
    "RNNBase": _recurrent,
    "RNNCellBase": _recurrent_cell,
    "MultiheadAttention": _attention,
    "Transformer": _transformer,
    "TransformerEncoder": _transformer,
    "TransformerEncoderLayer": _transformer,
    "TransformerDecoder": _transformer,
    "TransformerDecoderLayer": _transformer,
    "LayerNorm": _layer_norm,
    "RMSNorm": _layer_norm,
    "BatchNorm1d": _batch_norm(1),
    "BatchNorm2d": _batch_norm(2),
    "BatchNorm3d": _batch_norm(3),
    "InstanceNorm1d": _batch_norm(1),
    "InstanceNorm2d": _batch_norm(2),
    "InstanceNorm3d": _batch_norm(3),
    "GroupNorm": _group_norm,
}

"""What torch functions are called, and what they were called with."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from modelcli.modules import attribute_of

# torch's names of the positional parameters, where the function itself cannot tell.
_POOL = ("input", "kernel_size", "stride", "padding")
_MAX_POOL = (*_POOL, "dilation", "ceil_mode", "return_indices")
_AVG_POOL = (*_POOL, "ceil_mode", "count_include_pad", "divisor_override")
_LP_POOL = ("input", "norm_type", "kernel_size", "stride", "ceil_mode")
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_CONV_T = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_ADAPTIVE = ("input", "output_size", "return_indices")
_FRACTIONAL = ("input", "kernel_size", "output_size", "output_ratio", "return_indices")
_RESIZE = ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")
_REDUCE = ("input", "dim", "keepdim")
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    **{f"conv{n}d": _CONV for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _CONV_T for n in (1, 2, 3)},
    **{f"max_pool{n}d": _MAX_POOL for n in (1, 2, 3)},
    **{f"avg_pool{n}d": _AVG_POOL for n in (1, 2, 3)},
    **{f"lp_pool{n}d": _LP_POOL for n in (1, 2, 3)},
    **{f"adaptive_{k}_pool{n}d": _ADAPTIVE for n in (1, 2, 3) for k in ("avg", "max")},
    **{f"fractional_max_pool{n}d": _FRACTIONAL for n in (2, 3)},
    **{f"max_unpool{n}d": ("input", "indices", *_POOL[1:], "output_size") for n in (1, 2, 3)},
    **dict.fromkeys(("interpolate", "upsample"), _RESIZE),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min"), _REDUCE),
    **dict.fromkeys(("softmax", "log_softmax", "cat", "stack", "concat"), ("input", "dim")),
    "upsample_nearest": ("input", "size", "scale_factor"),
    "upsample_bilinear": ("input", "size", "scale_factor"),
    "pad": ("input", "pad", "mode", "value"),
    "pixel_shuffle": ("input", "upscale_factor"),
    "pixel_unshuffle": ("input", "downscale_factor"),
    "channel_shuffle": ("input", "groups"),
    "unfold": ("input", "kernel_size", "dilation", "padding", "stride"),
    "fold": ("input", "output_size", "kernel_size", "dilation", "padding", "stride"),
    "flatten": ("input", "start_dim", "end_dim"),
    "permute": ("input", "dims"),
    "getitem": ("input", "index"),
    "narrow": ("input", "dim", "start", "length"),
    "select": ("input", "dim", "index"),
    "transpose": ("input", "dim0", "dim1"),
    "dropout": ("input", "p", "training", "inplace"),
}

_LAYER_ATTRIBUTES = (
    "kernel_size", "stride", "padding", "dilation", "groups", "output_padding", "padding_mode",
    "ceil_mode", "return_indices", "count_include_pad", "in_channels", "out_channels",
    "output_size", "output_ratio", "norm_type", "size", "scale_factor", "mode", "align_corners",
    "recompute_scale_factor", "upscale_factor", "downscale_factor", "start_dim", "end_dim",
    "unflattened_size", "value", "in_features", "out_features", "normalized_shape", "dim", "p",
)  # fmt: skip
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def function_name(func: Any) -> str:
    """Return a function's public name: ``max_pool2d``, ``add``, ``relu_``."""
    name = getattr(func, "__name__", None) or type(func).__name__
    bare = name.strip("_") or name
    if name.startswith("__i") and name.endswith("__") and bare[1:] in _IN_PLACE:
        return bare[1:] + "_"
    if name.startswith("__r") and name.endswith("__") and bare[1:] in _IN_PLACE:
        return bare[1:]
    in_place = name.endswith("_") and not name.endswith("__")
    return bare + "_" if in_place else bare


_IN_PLACE = frozenset("add sub mul truediv floordiv matmul pow mod and or xor".split())


def function_arguments(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a function was called with, plain values only, under torch's names."""
    base = function_name(func).rstrip("_")
    if func is torch.Tensor.unfold:
        names: tuple[str, ...] = ("input", "dimension", "size", "step")
    else:
        names = _ARGUMENTS.get(base.removesuffix("_with_indices"), ())
    found: dict[str, Any] = {}
    rest: list[Any] = []
    for position, value in enumerate(args):
        if position < len(names):
            _keep(found, names[position], value)
        elif not isinstance(value, torch.Tensor) and is_plain(value):
            rest.append(plain(value))
    for key, value in kwargs.items():
        _keep(found, key, value)
    if rest and base == "permute":
        found["dims"] = (found["dims"], *rest) if "dims" in found else tuple(rest)
    elif rest:
        found["args"] = tuple(rest)
    return found


def _keep(found: dict[str, Any], name: str, value: Any) -> None:
    if name == "weight" and isinstance(value, torch.Tensor):
        found["weight_shape"] = tuple(value.shape)
    elif is_plain(value):
        found[name] = plain(value)


def layer_attributes(
    module: nn.Module, kwargs: Mapping[str, Any], args: tuple[Any, ...] = ()
) -> dict[str, Any]:
    """Return what a layer was built with; the output size that this call asks for wins."""
    found = {
        name: plain(value)
        for name in _LAYER_ATTRIBUTES
        if is_plain(value := attribute_of(module, name, _NOTHING))
    }
    asked = kwargs.get("output_size") or next((a for a in args if type(a) in _SIZES), None)
    if asked is not None and is_plain(asked):
        found["output_size"] = plain(asked)
    return found


_NOTHING = object()
_SIZES = (tuple, list, torch.Size)


def is_plain(value: Any) -> bool:
    """Tell whether a value can go into a record as it is."""
    if isinstance(value, (list, tuple)):
        return all(is_plain(item) for item in value)
    if isinstance(value, slice):
        return all(is_plain(part) for part in (value.start, value.stop, value.step))
    return value is None or value is ... or isinstance(value, (bool, int, float, str))


def plain(value: Any) -> Any:
    """Return a value with lists and torch sizes as tuples."""
    return tuple(plain(item) for item in value) if isinstance(value, (list, tuple)) else value


def layer_base(module: nn.Module) -> str:
    """Return the first class of a layer that torch.nn defines, or ``""`` where there is none."""
    kind: Any = type(module)
    return _base_of(kind)


@functools.lru_cache(maxsize=1024)
def _base_of(kind: type[nn.Module]) -> str:
    for cls in kind.__mro__:
        if cls is nn.Module or cls in _CONTAINERS:
            return ""
        if cls.__module__.startswith(("torch.nn.modules", "torch.ao.nn")):
            return cls.__name__
    return ""


def is_layer(module: nn.Module) -> bool:
    """Tell whether a module is a leaf: a layer without children whose forward is torch's own.

    A subclass with a forward of its own (timm's ``Conv2dSame``) is none: what it calls counts.
    """
    children = module._modules
    if (
        children
        and any(child is not None for child in children.values())
        and "parametrizations" not in children
    ):
        return False
    forward = getattr(type(module), "forward", None)
    home = getattr(forward, "__module__", None) or ""
    return home.startswith(("torch.nn.", "torch.ao.nn.")) and bool(layer_base(module))


def type_name(module: nn.Module) -> str:
    """Return the class as people write it; a parametrised layer is named for what it was."""
    name = type(module).__name__
    if name.startswith("Parametrized") and "parametrizations" in module._modules:
        return name.removeprefix("Parametrized")
    if name == "RecursiveScriptModule":
        return str(getattr(module, "original_name", name))
    return name

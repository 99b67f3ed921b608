"""Inputs for a model that says nothing of them: its first layers give channels, tries the sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.overrides import TorchFunctionMode

from modelcli.errors import UsageError, describe
from modelcli.loading.example import ExampleInputs, forward_parameters, from_specs, with_batch_size
from modelcli.loading.meta import call_on_meta, copy_to_meta
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.modules import modules_of, named_modules

# Common sizes of the field first: ImageNet crops, CIFAR, MNIST, then what small examples use.
_IMAGE_SIZES = (
    224,
    32,
    28,
    64,
    128,
    256,
    96,
    48,
    299,
    384,
    227,
    112,
    512,
    16,
    8,
    84,
    100,
    150,
    160,
)
_GREY_SIZES = (28, 32, 64, 224, 128, 256, 48, 96, 16, 8)
_LENGTHS = (16, 128, 64, 100, 32, 256, 512, 1000, 1024, 16000, 8, 28)
_VOLUME_SIZES = ((16, 112), (16, 64), (8, 32), (32, 32), (64, 64), (16, 224))
_SWEEP = range(4, 257)


def infer_inputs(model: nn.Module, request: InputRequest, label: str) -> ExampleInputs:
    """Return the first inputs that a model on meta runs with.

    Args:
        model: a private module on meta, in the mode in which it will run.

    Raises:
        UsageError: nothing that was tried runs.
    """
    required = [
        name
        for name, p in forward_parameters(model).items()
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        and name not in request.kwargs
    ]
    last: BaseException | None = None
    first: tuple[ExampleInputs, BaseException] | None = None
    first_reason = ""
    for shape, dtype, reason in _candidates(model):
        first_reason = first_reason or reason
        specs = [InputSpec(shape=shape, dtype=dtype)] * max(1, len(required))
        inputs = from_specs(specs, model, origin=f"inferred from {reason}")
        inputs = dataclasses.replace(inputs, kwargs=dict(request.kwargs))
        last = _try(model, inputs)
        if last is None:
            return with_batch_size(_named(inputs, required), request.batch_size)
        first = first or (inputs, last)
    if first is not None and len(required) < 2 and not _is_about_size(model, first[1]):
        # The forward itself is wrong: let the pass show where, with the rows up to there.
        return with_batch_size(_named(first[0], required), request.batch_size)
    tried = f" (tried from {first_reason}; {describe(last)})" if last is not None else ""
    names = " ".join(f"--input {name}:1x..." for name in required) or "--input 1x3x224x224"
    raise UsageError(f"no input of '{label}' could be inferred{tried}", f"give it: {names}")


def _named(inputs: ExampleInputs, required: list[str]) -> ExampleInputs:
    named = tuple(
        dataclasses.replace(record, name=name)
        for record, name in zip(inputs.records, required or ["0"], strict=False)
    )
    return dataclasses.replace(inputs, records=named)


def _is_about_size(model: nn.Module, error: BaseException) -> bool:
    """Tell whether another size might run: not if the first layer fixes it, or code is wrong."""
    if isinstance(error, (AttributeError, NameError, TypeError, KeyError, ImportError, SystemExit)):
        return False
    if "cuda" in str(error).lower():
        return False
    layer = next((layer for _, layer in _first_layers(model)), None)
    return not isinstance(layer, (nn.Linear, nn.Embedding, nn.RNNBase))


class _MetaCalls(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return call_on_meta(func, args, kwargs or {})


def runs(model: nn.Module, inputs: ExampleInputs) -> bool:
    """Tell whether the forward of a private module on meta gets through with these inputs."""
    return _try(model, inputs) is None


def _try(model: nn.Module, inputs: ExampleInputs) -> BaseException | None:
    if any(isinstance(m, LazyModuleMixin) for m in modules_of(model)):
        model = copy_to_meta(model)  # a failed try would fix the lazy layers' sizes
    try:
        with _MetaCalls(), torch.no_grad():
            _call(model, inputs)
    except (Exception, SystemExit) as error:  # whatever the user's forward raises
        # Values that meta cannot give are no fault of the shape: the ladder deals with them.
        return None if needs_values(error) else error
    return None


def _call(model: nn.Module, inputs: ExampleInputs) -> None:
    try:
        model(*inputs.args, **inputs.kwargs)
    except RuntimeError as error:
        if not wants_gradients(error):
            raise
        with torch.enable_grad():
            model(*inputs.args, **inputs.kwargs)


def wants_gradients(error: BaseException) -> bool:
    """Tell whether a forward failed because it asks for gradients where none are kept."""
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "does not require grad" in text or "not have been used in the graph" in text
    )


def needs_values(error: BaseException) -> bool:
    """Tell whether an exception says that a tensor had no values, not that a shape was wrong."""
    text = f"{type(error).__name__} {error}".lower()
    return (
        "meta" in text
        or isinstance(error, NotImplementedError)
        or "datadependent" in text
        or "faketensor" in text
        or "fake tensor" in text
    )


def _candidates(model: nn.Module) -> Iterator[tuple[tuple[int, ...], str | None, str]]:
    layers = list(_first_layers(model))
    for path, layer in layers:
        name = f"{path} ({type(layer).__name__})" if path else type(layer).__name__
        for shape, dtype in _shapes_for(layer):
            yield shape, dtype, name
    for path, layer in layers:
        name = f"{path} ({type(layer).__name__})" if path else type(layer).__name__
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            channels = _channels(layer)
            for size in _SWEEP:
                yield (1, channels, size, size), None, name
        elif isinstance(layer, nn.Conv1d):
            for size in _SWEEP:
                yield (1, _channels(layer), size), None, name
    if not layers:
        for shape in ((1, 3, 224, 224), (1, 16), (1, 1, 28, 28), (1, 16, 16), (16,)):
            yield shape, None, "no layer: any shape that runs"


def _first_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the first layers that know their input's size, of each class at most one."""
    seen: set[type] = set()
    for path, module in named_modules(model):
        if type(module) in seen or next(iter(_shapes_for(module)), None) is None:
            continue
        seen.add(type(module))
        yield path, module
        if len(seen) == 4:
            return


def _channels(layer: Any) -> int:
    channels = int(layer.in_channels)
    return channels if channels else 3  # a lazy convolution takes what it gets


def _shapes_for(layer: nn.Module) -> Iterator[tuple[tuple[int, ...], str | None]]:
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        for length in (16, 8, 32, 64, 128, 4, 1):
            yield (1, length), "int64"
    elif isinstance(layer, nn.ConvTranspose2d):  # a generator: from one cell, or a small map
        for size in (1, 4, 7, 8, 16, 32, 64):
            yield (1, _channels(layer), size, size), None
    elif isinstance(layer, nn.Conv2d):
        channels = _channels(layer)
        for size in _GREY_SIZES if channels == 1 else _IMAGE_SIZES:
            yield (1, channels, size, size), None
    elif isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
        for length in _LENGTHS:
            yield (1, _channels(layer), length), None
    elif isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d)):
        for frames, size in _VOLUME_SIZES:
            yield (1, _channels(layer), frames, size, size), None
    elif isinstance(layer, (nn.Linear, nn.Bilinear)):
        features = getattr(layer, "in_features", None) or getattr(layer, "in1_features", 0)
        if features:
            yield (1, features), None
            yield (1, 16, features), None
            side = round(features**0.5)
            if side * side == features:  # a flattened grey image
                yield (1, 1, side, side), None
            side = round((features / 3) ** 0.5)
            if 3 * side * side == features:
                yield (1, 3, side, side), None
        else:
            yield (1, 16), None
    elif isinstance(layer, nn.RNNBase):
        yield (1, 16, layer.input_size), None
    elif isinstance(layer, nn.RNNCellBase):
        yield (1, layer.input_size), None
    elif isinstance(layer, nn.MultiheadAttention):
        yield (1, 16, layer.embed_dim), None
    elif isinstance(layer, nn.LayerNorm):
        yield (1, 16, *layer.normalized_shape), None
        yield (1, *layer.normalized_shape), None
    elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
        ndim = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}.get(type(layer), 2)
        yield (1, layer.num_features, *(32,) * ndim), None
        if ndim == 1:
            yield (2, layer.num_features), None

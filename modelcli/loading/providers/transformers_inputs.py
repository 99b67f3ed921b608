"""Example inputs of a transformers model: what it says itself, completed until its forward runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from modelcli.loading.example import ExampleInputs, example_from, forward_parameters, from_specs
from modelcli.loading.types import InputSpec
from modelcli.modules import parameters_of

_MOST_TRIES = 16
# Arguments that a model may declare optional and yet insist on.
_WANTED = ("input_ids", "pixel_values", "bbox", "input_features", "input_values")


def transformers_inputs(model: nn.Module) -> ExampleInputs | None:
    """Return the first inputs that run: the main one, with what else ``forward`` asks for.

    A model of text alone has one candidate, and nothing is tried.
    """
    candidates = list(itertools.islice(_candidates(model), _MOST_TRIES))
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    from modelcli.loading.copying import copy_to_meta
    from modelcli.loading.inference import runs

    on_meta = model if all(p.is_meta for p in parameters_of(model)) else copy_to_meta(model)
    return next((inputs for inputs in candidates if runs(on_meta, inputs)), candidates[0])


def _candidates(model: Any) -> Iterator[ExampleInputs]:
    main = str(model.main_input_name)
    parameters = forward_parameters(model)
    dummy = _dummy(model) if main == "input_ids" and main in parameters else None
    if dummy is not None:
        yield dummy
    required = [n for n, p in parameters.items() if p.default is p.empty and _known(n, p)]
    wanted = [name for name in _WANTED if name in parameters]
    # Models of parts inherit a main input that their own forward need not take.
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    takes = [main] if main in parameters or (open_ended and not required) else []
    decoder = ["decoder_input_ids"] if _has_decoder(model.config) else []
    seen: set[tuple[str, ...]] = {("input_ids",)} if dummy is not None else set()
    for extra in ([], required, [*required, *wanted]):
        names = tuple(dict.fromkeys([*takes, *extra, *decoder]))
        if not names or names in seen:
            continue
        seen.add(names)
        variants = [list(_specs(name, model.config)) for name in names]
        for specs in itertools.product(*variants):
            yield from_specs(specs, model, origin="config")


def _dummy(model: Any) -> ExampleInputs | None:
    found = getattr(model, "dummy_inputs", None)
    if not isinstance(found, Mapping) or "input_ids" not in found:
        return None
    inputs = dict(found)
    if _has_decoder(model.config) and "decoder_input_ids" not in inputs:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    return example_from(inputs, "dummy_inputs")


def _has_decoder(config: Any) -> bool:
    return bool(getattr(config, "is_encoder_decoder", False))


def _known(name: str, parameter: Any) -> bool:
    kinds = (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return parameter.kind in kinds and name != "self"


def _specs(name: str, config: Any) -> Iterator[InputSpec]:
    """Yield what an argument of that name may look like, the likeliest first."""
    if name == "pixel_values":
        yield from _images(config)
    elif name == "input_features":
        yield from _spectra(config)
    elif name == "input_values":
        yield from _waves(config)
    elif name == "bbox":
        yield InputSpec(name=name, dtype="int64", shape=(1, 8, 4))
    elif name in ("query_embeds", "inputs_embeds", "hidden_states"):
        yield InputSpec(name=name, shape=(1, 16, getattr(config, "hidden_size", 768)))
    else:
        yield InputSpec(name=name, dtype="int64", shape=(1, 8))


def _images(config: Any) -> Iterator[InputSpec]:
    vision = getattr(config, "vision_config", None) or config
    size = getattr(vision, "image_size", None) or getattr(vision, "img_size", None) or 224
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    channels = getattr(vision, "num_channels", None) or 3
    frames = getattr(vision, "num_frames", None) or getattr(vision, "frames_per_clip", None)
    if isinstance(frames, int):
        yield InputSpec(name="pixel_values", shape=(1, frames, channels, height, width))
    yield InputSpec(name="pixel_values", shape=(1, channels, height, width))
    if getattr(vision, "image_size", None) is None:
        for side in (384, 512, 640, 1024, 1536):
            yield InputSpec(name="pixel_values", shape=(1, channels, side, side))
    yield InputSpec(name="pixel_values", shape=(1, 2, channels, height, width))


def _spectra(config: Any) -> Iterator[InputSpec]:
    audio = getattr(config, "audio_config", None) or getattr(config, "encoder_config", None)
    holders = [c for c in (config, audio) if c is not None]
    names = ("num_mel_bins", "input_feat_size", "feature_size", "input_dim", "num_mels")
    bins = next((v for n in names for c in holders if (v := getattr(c, n, None))), 80)
    length = 2 * next((v for c in holders if (v := getattr(c, "max_source_positions", 0))), 500)
    yield InputSpec(name="input_features", shape=(1, bins, length))
    yield InputSpec(name="input_features", shape=(1, length, bins))
    yield InputSpec(name="input_features", shape=(1, 1, length, bins))


def _waves(config: Any) -> Iterator[InputSpec]:
    length, bins = getattr(config, "max_length", None), getattr(config, "num_mel_bins", None)
    if length and bins:
        yield InputSpec(name="input_values", shape=(1, length, bins))
    yield InputSpec(name="input_values", shape=(1, 16000))
    yield InputSpec(name="input_values", shape=(1, 1, 16000))

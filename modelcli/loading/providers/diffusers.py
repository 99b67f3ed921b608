"""Models of diffusers: ``diffusers:DIR``, ``diffusers:config.json``, ``diffusers:UNet2DModel``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn

from modelcli.errors import TargetError, UsageError, did_you_mean
from modelcli.loading.arguments import plain_argument, settle_arguments
from modelcli.loading.example import ExampleInputs, forward_parameters, from_specs
from modelcli.loading.providers.catalogue import library_names
from modelcli.loading.providers.libraries import (
    import_library,
    read_json,
    torchvision_remarks,
    unknown_model,
)
from modelcli.loading.source import Source
from modelcli.loading.types import InputSpec
from modelcli.modules import attribute_of

_PIPELINE = "model_index.json"
_CONFIG = "config.json"
_TOKENS = 77  # of CLIP's text encoder
_SIDE = 64  # of a latent image, where the configuration does not say


class Diffusers:
    """A model by its class, with its default arguments, or by the configuration of a saved one."""

    def names(self) -> list[str]:
        """Return the names of the classes that are models."""
        import_library("diffusers")
        return list(library_names("diffusers"))

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of one model.

        Raises:
            TargetError: there is no such class, or the folder or file describes no model.
        """
        diffusers = import_library("diffusers")
        values = _saved(reference)
        name = reference if values is None else str(values.get("_class_name"))
        found: Any = getattr(diffusers, name, None) if name.isidentifier() else None
        if not _is_model(found, diffusers.ModelMixin):
            if values is None:
                raise unknown_model("diffusers", reference, self.names())
            raise TargetError(
                f"'{reference}' is of the class {name!r}, which is no model of this diffusers",
                "a newer diffusers may have it: pip install --upgrade diffusers",
            )
        given = {key: plain_argument(value) for key, value in kwargs.items()}
        label = f"diffusers:{reference}"
        if values is None:
            arguments = settle_arguments(found, label, given)
            return _source(label, lambda: found(**arguments), kwargs)
        config = values
        for key in given:
            if key not in config:
                did = did_you_mean(key, [name for name in config if not name.startswith("_")])
                raise UsageError(f"{name} has no '{key}'", f"{did}see the config's keys")
        return _source(label, lambda: found.from_config(config, **given), kwargs)

    def inputs_of(self, model: nn.Module) -> ExampleInputs | None:
        """Return what a model of diffusers takes, told by the names of its forward.

        None for a model of another library, or one that demands what is not known here.
        """
        config = attribute_of(model, "config")
        if attribute_of(model, "_internal_dict") is None or not isinstance(config, Mapping):
            return None
        told = _arguments(config)
        demanded = [
            name for name, p in forward_parameters(model).items()
            if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]  # fmt: skip
        names = [*demanded, *(n for n in _insisted(config) if n not in demanded)]
        if not names or any(name not in told for name in demanded):
            return None
        specs = [spec for name in names for spec in told[name]]
        return from_specs(specs, model, origin="config")


def _is_model(found: Any, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _source(label: str, construct: Any, kwargs: Mapping[str, Any]) -> Source:
    return Source(
        label=label,
        construct=lambda: cast(nn.Module, construct()),
        kwargs=dict(kwargs),
        remarks=torchvision_remarks(),
    )


def _saved(reference: str) -> dict[str, Any] | None:
    """Return the configuration in a folder or file; None for the name of a class.

    Raises:
        TargetError: a pipeline of several models, or no configuration.
    """
    path = Path(reference)
    if os.path.isdir(path):
        if not os.path.lexists(path / _CONFIG):
            raise _no_model(path)
        path = path / _CONFIG
    elif not os.path.lexists(path) and path.suffix != ".json":
        return None
    values = read_json(path)
    if not isinstance(values, dict) or "_class_name" not in values:
        hint = "a model saved by transformers is hf:DIR"
        raise TargetError(f"'{path}' names no class of diffusers", hint)
    return values


def _no_model(folder: Path) -> TargetError:
    """Return the error for a folder without a configuration; a pipeline's are in its folders."""
    parts = sorted(item.name for item in folder.iterdir() if os.path.isfile(item / _CONFIG))
    if os.path.isfile(folder / _PIPELINE) and parts:
        listed = " or ".join(_named(folder / part) for part in parts)
        return TargetError(
            f"'{folder}' is a pipeline of {len(parts)} models", f"name one: {listed}"
        )
    return TargetError(f"'{folder}' has no {_CONFIG}", "name a saved model's folder")


def _named(folder: Path) -> str:
    values = read_json(folder / _CONFIG)
    is_theirs = isinstance(values, dict) and "_class_name" in values
    return f"{'diffusers' if is_theirs else 'hf'}:{folder}"


def _first(config: Mapping[str, Any], *keys: str, default: int) -> int:
    found = next((config[key] for key in keys if config.get(key)), default)
    return int(max(found) if isinstance(found, (list, tuple)) else found)


def _arguments(config: Mapping[str, Any]) -> dict[str, list[InputSpec]]:
    """Return the parts of each argument that is known by its name."""
    channels = _first(config, "in_channels", default=3)
    side = _first(config, "sample_size", default=_SIDE)
    wide = _first(
        config, "cross_attention_dim", "joint_attention_dim", "caption_channels",
        "encoder_hid_dim", default=768,
    )  # fmt: skip
    pooled = _first(config, "pooled_projection_dim", default=768)
    image = InputSpec(shape=(1, channels, side, side), dtype="float32")
    step = InputSpec(shape=(1,), dtype="int64")
    text = InputSpec(shape=(1, _TOKENS, wide), dtype="float32")
    summary = InputSpec(shape=(1, pooled), dtype="float32")
    hint = _first(config, "conditioning_channels", default=3)
    drawn = InputSpec(shape=(1, hint, 8 * side, 8 * side), dtype="float32")
    size = InputSpec(shape=(1, 6), dtype="float32")
    described = {
        "sample": image,
        "hidden_states": image,
        "x": image,
        "timestep": step,
        "class_labels": step,
        "encoder_hidden_states": text,
        "controlnet_cond": drawn,
        "pooled_projections": summary,
        "added_cond_kwargs.text_embeds": InputSpec(shape=(1, 1280), dtype="float32"),
        "added_cond_kwargs.time_ids": size,
    }
    found: dict[str, list[InputSpec]] = {}
    for name, spec in described.items():
        named = InputSpec(name=name, shape=spec.shape, dtype=spec.dtype)
        found.setdefault(name.partition(".")[0], []).append(named)
    return found


def _insisted(config: Mapping[str, Any]) -> list[str]:
    """Return arguments that a forward calls optional and yet wants."""
    wanted = []
    if config.get("addition_embed_type") == "text_time":
        wanted.append("added_cond_kwargs")
    if config.get("class_embed_type") or config.get("num_class_embeds"):
        wanted.append("class_labels")
    if config.get("norm_type") == "ada_norm_zero":  # DiT: a time and a class
        wanted += ["timestep", "class_labels"]
    return wanted

"""Architectures of transformers, from a configuration: ``hf:DIR``, ``hf:gpt2``."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from modelcli.checkpoints.records import brief
from modelcli.errors import TargetError, UnavailableError, UsageError, did_you_mean
from modelcli.loading.arguments import plain_argument
from modelcli.loading.example import ExampleInputs
from modelcli.loading.meta import is_building_on_meta
from modelcli.loading.providers.libraries import import_library, read_json
from modelcli.loading.providers.transformers_films import on_first_frame, says_of_film
from modelcli.loading.providers.transformers_tokens import name_placeholder
from modelcli.loading.script import say_meanwhile
from modelcli.loading.source import Source
from modelcli.modules import attribute_of


class Transformers:
    """``hf:DIR``, ``hf:config.json``, ``hf:gpt2``: an architecture from its configuration."""

    about_names = (
        "each is an architecture; without the Hub it has its default configuration, which for "
        "some lacks what --set KEY=VALUE must give; hf:OWNER/NAME needs the Hub",
    )

    def names(self) -> list[str]:
        """Return the architectures that are models of their own, not parts of others."""
        return _architectures(import_library("transformers"))

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of one model."""
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        transformers = import_library("transformers")
        config, remark = _hub_or_local_config(transformers, reference)
        for key, value in kwargs.items():
            if not hasattr(config, key):
                did = did_you_mean(key, config.to_dict())
                raise UsageError(
                    f"{type(config).__name__} has no '{key}'", f"{did}see the config's keys"
                )
            setattr(config, key, plain_argument(value))
        _say_how_many_layers(config)
        architecture = _architecture(transformers, config)
        method = _stands_for_forward(architecture)
        no_forward = f"{architecture.__name__} has no forward: its {method} runs" if method else ""
        no_model = _say_what_is_not_a_model(config, architecture)
        film = says_of_film(architecture) if architecture is not None else ""
        placeholder = name_placeholder(config, architecture)

        def construct() -> nn.Module:
            model = _from_config(transformers, config, architecture)
            return on_first_frame(model) if film else model

        return Source(
            label=f"hf:{reference}",
            construct=construct,
            kwargs=dict(kwargs),
            remarks=tuple(filter(None, (remark, film or no_forward, no_model, placeholder))),
            method=method,
        )

    def inputs_of(self, model: nn.Module) -> ExampleInputs | None:
        """Return the first inputs with which a model of transformers runs."""
        main = attribute_of(model, "main_input_name")
        if not isinstance(main, str | list | tuple) or attribute_of(model, "config") is None:
            return None  # of another library, or it answers to every name
        from modelcli.loading.providers.transformers_inputs import transformers_inputs

        return transformers_inputs(model)


_MANY_LAYERS = 1000


def _say_how_many_layers(config: Any) -> None:
    """Say before a model is built that this takes long: no real one has as many layers."""
    layers = getattr(config, "num_hidden_layers", None)
    if isinstance(layers, int) and layers > _MANY_LAYERS:
        say_meanwhile(f"the configuration asks for {layers:,} layers; Ctrl-C ends the wait")


def _architectures(transformers: Any) -> list[str]:
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    return sorted(known.keys() & transformers.models.auto.modeling_auto.MODEL_MAPPING_NAMES.keys())


def _hub_or_local_config(transformers: Any, reference: str) -> tuple[Any, str]:
    """Return a configuration, and what is to be said of its origin."""
    path = Path(reference)
    if os.path.isdir(path):
        path = path / "config.json"
        if not os.path.lexists(path):
            raise TargetError(f"'{reference}' has no config.json", "name a saved model's folder")
    if path.suffix == ".json" or os.path.lexists(path):
        return _local_config(transformers, path), ""
    return _hub_config(transformers, reference)


def _hub_config(transformers: Any, reference: str) -> tuple[Any, str]:
    """Return the configuration of a Hub name, from the local cache if it is there.

    The name of an architecture has a default configuration, where the Hub has none of that name
    or cannot be asked.
    """
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(reference, "config.json")
    except HFValidationError as error:
        raise TargetError(
            f"'{reference}' is neither a folder nor a name of the Hub",
            "a folder with config.json is hf:DIR, a Hub name is hf:gpt2 or hf:owner/name",
        ) from error
    if isinstance(cached, str):
        return _local_config(transformers, Path(cached)), ""
    mapping = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    if constants.HF_HUB_OFFLINE or not _is_reachable(constants.ENDPOINT):
        if reference in mapping:
            why = "the Hub cannot be reached"
            return _default_config(transformers, reference), _default_remark(reference, why)
        raise UnavailableError(
            f"the Hub cannot be reached for 'hf:{reference}'",
            "save its config.json to a folder and use hf:DIR, or check the network",
        )
    try:
        # False, not None: with None it asks on a terminal whether to run a stranger's code
        return transformers.AutoConfig.from_pretrained(reference, trust_remote_code=False), ""
    except Exception as error:  # no such name, a private one, a damaged cache
        if "trust_remote_code" in str(error):
            raise _is_code(f"hf:{reference}") from None
        if reference in mapping:
            why = "the Hub has no configuration of that name"
            return _default_config(transformers, reference), _default_remark(reference, why)
        did = did_you_mean(reference, mapping, "hf:{}")
        raise TargetError(
            f"the Hub gave no configuration for '{reference}': {type(error).__name__}",
            f"{did}is the name right, and public? A local folder is hf:DIR",
        ) from error


def _is_code(shown: str) -> TargetError:
    return TargetError(
        f"'{shown}' is an architecture of its repository's own code, which is not run here",
        "read that code; if you trust it, save it as a file and name it: path/net.py:Net",
    )


def _default_config(transformers: Any, architecture: str) -> Any:
    return transformers.AutoConfig.for_model(architecture)


def _default_remark(architecture: str, why: str) -> str:
    return (
        f"hf:{architecture} has the default configuration of {architecture}, which --set "
        f"KEY=VALUE changes: {why}"
    )


def _is_reachable(endpoint: str) -> bool:
    """Ask once whether the Hub answers: its own client tries six times, for half a minute."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    if getproxies():
        return True  # the proxy answers for it
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=3):
            return True
    except OSError:
        return False


def _local_config(transformers: Any, path: Path) -> Any:
    values = read_json(path)
    model_type = values.get("model_type") if isinstance(values, dict) else None
    known = list(transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES)
    if model_type not in known:
        if isinstance(values, dict) and values.get("auto_map"):
            raise _is_code(str(path))
        did = did_you_mean(str(model_type), known)
        raise TargetError(
            f"'{path}' has the model_type {model_type!r}, which this transformers does not know",
            f"{did}a newer transformers may: pip install --upgrade transformers",
        )
    # Also reads what JSON has no word for, such as an infinite limit.
    try:
        return transformers.AutoConfig.from_pretrained(str(path), trust_remote_code=False)
    except Exception as error:  # whatever a configuration class makes of a wrong value
        raise TargetError(
            f"'{path}' is no configuration of {model_type}: {_last_line(error)}",
            f"compare it with the one of 'modelcli summary hf:{model_type}'",
        ) from None


def _last_line(error: Exception) -> str:
    """Return the line that says what is wrong: the checks of a dataclass put it last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return brief(lines[-1], 120)[1:-1] if lines else type(error).__name__


def _architecture(transformers: Any, config: Any) -> Any:
    """Return the class that a configuration names, else the base model of its type, or None."""
    for name in _named(config):
        found = getattr(transformers, name, None)
        if _is_model(found):
            return found
    mapping = transformers.AutoModel._model_mapping
    if type(config) not in mapping:
        return _model_of(config)
    found = mapping[type(config)]
    return None if isinstance(found, (tuple, list)) else found


def _named(config: Any) -> list[str]:
    """Return the names of classes that a configuration gives; what is no name is passed over."""
    named = getattr(config, "architectures", None)
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def _say_what_is_not_a_model(config: Any, architecture: Any) -> str:
    """Return a remark where none of the classes that a configuration names is a model, or ""."""
    names = _named(config)
    if architecture is None or not names or architecture.__name__ in names:
        return ""
    return (
        f"the configuration names {brief(names[0])}, which is no model of this transformers: "
        f"{architecture.__name__} is described"
    )


def _stands_for_forward(architecture: Any) -> str:
    """Return the method that runs a model whose class has no forward, as of codes of images."""
    has_forward = getattr(architecture, "forward", None) is not nn.Module.forward
    return "encode" if not has_forward and hasattr(architecture, "encode") else ""


def _from_config(transformers: Any, config: Any, architecture: Any) -> nn.Module:
    """Build an architecture; without one the automatic class says what it lacks."""
    if architecture is not None:
        return cast(nn.Module, _new(architecture, config))
    return cast(nn.Module, transformers.AutoModel.from_config(config, trust_remote_code=False))


def _model_of(config: Any) -> Any:
    """Return the model that goes with a part's configuration (``ClipTextConfig``) by its name.

    The automatic classes know whole models only, and raise for the parts of larger ones.
    """
    from importlib import import_module

    config_class = type(config)
    place = config_class.__module__.replace(".configuration_", ".modeling_")
    try:
        module = import_module(place)
    except ImportError:
        return None
    name = config_class.__name__.removesuffix("Config")
    found = getattr(module, f"{name}Model", None) or getattr(module, name, None)
    return found if _is_model(found) else None


def _is_model(found: Any) -> bool:
    """Tell whether something is a class of models: the library also has functions and trainers."""
    return isinstance(found, type) and issubclass(found, nn.Module)


def _new(architecture: Any, config: Any) -> Any:
    """Build an architecture; on meta even if its configuration lacks what start values need."""
    make = getattr(architecture, "_from_config", None) or architecture
    try:
        return make(config)
    except Exception:
        if not is_building_on_meta():
            raise
        with contextlib.suppress(Exception), torch.device("meta"):  # where none are initialised
            return make(config)
        raise

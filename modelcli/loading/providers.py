"""Models of other libraries: torchvision, timm, transformers, and what other packages bring."""

from __future__ import annotations

import contextlib
import fnmatch
import importlib
import importlib.util
import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from torch import nn

from modelcli.errors import TargetError, UnavailableError, UsageError, suggest
from modelcli.loading.source import Source, check_arguments, describe
from modelcli.loading.target import PROVIDER_GROUP, Target
from modelcli.loading.types import InputSpec

Convention = Callable[[nn.Module], "tuple[Any, str] | None"]


class Provider(Protocol):
    """What a library of models offers; an entry point of ``modelcli.providers`` leads to one."""

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of one model."""

    def names(self) -> list[str]:
        """Return the names of all models."""


def find_provided(target: Target, kwargs: Mapping[str, Any]) -> Source:
    """Return the source of ``PROVIDER:REFERENCE``.

    Raises:
        UnavailableError: the library is not installed.
        TargetError: the library has no such model.
    """
    return get_provider(target.place).find(target.attribute, kwargs)


def list_names(provider: str, pattern: str = "*") -> list[str]:
    """Return the names of a provider's models that match a glob pattern, sorted.

    Raises:
        UnavailableError: the library is not installed.
        UsageError: no such provider, or nothing matches.
    """
    names = sorted(get_provider(provider).names())
    found = fnmatch.filter(names, pattern)
    if not found:
        close = suggest(pattern, names)
        did = f"did you mean '{close}'? " if close else ""
        raise UsageError(
            f"no model of {provider} matches '{pattern}'",
            f"{did}quote a pattern, as '*{pattern.strip('*')[:6]}*'",
        )
    return found


def get_provider(name: str) -> Provider:
    """Return a provider by the word before the colon."""
    built_in: dict[str, type[Provider]] = {
        "torchvision": _Torchvision,
        "timm": _Timm,
        "hf": _Transformers,
    }
    if name in built_in:
        return built_in[name]()
    return _from_entry_point(name)


def _from_entry_point(name: str) -> Provider:
    from importlib.metadata import entry_points

    points = {point.name: point for point in entry_points(group=PROVIDER_GROUP)}
    if name not in points:
        known = ["torchvision", "timm", "hf", *points]
        close = suggest(name, known)
        did = f"did you mean '{close}'? " if close else ""
        raise UsageError(f"unknown provider '{name}'", f"{did}the providers are {', '.join(known)}")
    try:
        found = points[name].load()
    except Exception as error:  # another package's import
        raise UnavailableError(
            f"provider '{name}' does not load: {describe(error)}",
            f"look into the package of {points[name].value}",
        ) from error
    return cast(Provider, found() if inspect.isclass(found) else found)


def _import(package: str, *, pip_name: str | None = None) -> Any:
    """Import a library, beside a torch that torchvision was not built for if need be."""
    if importlib.util.find_spec(package) is None:
        raise UnavailableError(
            f"{package} is not installed",
            f"pip install {pip_name or package}  (or all of them: pip install 'modelcli[zoo]')",
        )
    try:
        with _without_torchvision_operators():
            return importlib.import_module(package)
    except Exception as error:  # a broken installation raises anything
        raise UnavailableError(
            f"{package} is installed but does not import: {describe(error)}",
            f"does its version fit this torch? pip install --upgrade {package}",
        ) from error


@contextlib.contextmanager
def _without_torchvision_operators() -> Iterator[None]:
    """Let torchvision import where its compiled operators do not load.

    Its wheel registers fake kernels for operators (``torchvision::nms``) that only exist if its
    binary matches torch's. Describing a model needs none of them.
    """
    import torch

    register_fake = torch.library.register_fake

    def lenient(op: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(op, str) and op.startswith("torchvision::") and not _exists(op):
            return lambda function: function
        return register_fake(op, *args, **kwargs)

    torch.library.register_fake = lenient
    try:
        yield
    finally:
        torch.library.register_fake = register_fake


def _exists(operator: str) -> bool:
    import torch

    namespace, _, name = operator.partition("::")
    return hasattr(getattr(torch.ops, namespace), name)


def _torchvision_remarks() -> tuple[str, ...]:
    """Say so where torchvision runs without its compiled operators."""
    if importlib.util.find_spec("torchvision") is None or _exists("torchvision::nms"):
        return ()
    return (
        "torchvision was built for another torch: its compiled operators (nms, roi_align) are "
        "missing here; describing models does not need them",
    )


def _wrap(found: Callable[..., Any], label: str, kwargs: dict[str, Any]) -> Callable[[], nn.Module]:
    check_arguments(found, label, kwargs)
    return lambda: cast(nn.Module, found(**kwargs))


class _Torchvision:
    """``torchvision:resnet50``, every builder of ``torchvision.models``."""

    def names(self) -> list[str]:
        return cast(list[str], _import("torchvision").models.list_models())

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        models = _import("torchvision").models
        names = models.list_models()
        if reference not in names:
            raise _unknown("torchvision", reference, names)
        builder = models.get_model_builder(reference)
        quiet: dict[str, Any] = {"weights": None, "weights_backbone": None}
        accepted = inspect.signature(builder).parameters
        defaults = {key: value for key, value in quiet.items() if key in accepted}
        if reference in ("googlenet", "inception_v3"):
            defaults["init_weights"] = False  # a slow scipy initialiser, of no use here
        label = f"torchvision:{reference}"
        return Source(
            label=label,
            construct=_wrap(builder, label, {**defaults, **kwargs}),
            convention=lambda _model: self._inputs(reference),
            kwargs=dict(kwargs),
            remarks=_torchvision_remarks(),
        )

    def _inputs(self, reference: str) -> tuple[Any, str] | None:
        models = _import("torchvision").models
        if reference.startswith(("swin3d", "mvit", "r3d", "r2plus1d", "mc3", "s3d")):
            size = 224 if reference.startswith(("swin3d", "mvit")) else 112
            frames = 32 if reference.startswith("swin3d") else 16
            if reference == "s3d":
                size = 224
            return InputSpec(shape=(1, 3, frames, size, size)), "torchvision's video crop"
        if reference.startswith("raft"):
            specs = (InputSpec(shape=(1, 3, 224, 224)), InputSpec(shape=(1, 3, 224, 224)))
            return specs, "two frames"
        try:
            weights = models.get_model_weights(reference)
            crop = weights.DEFAULT.transforms.keywords.get("crop_size", 224)
        except (ValueError, AttributeError):
            crop = 224
        size = crop[0] if isinstance(crop, (list, tuple)) else crop
        return InputSpec(shape=(1, 3, size, size)), "torchvision's crop size"


class _Timm:
    """``timm:vit_tiny_patch16_224``, every model of timm's registry."""

    def names(self) -> list[str]:
        return cast(list[str], _import("timm").list_models())

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        timm = _import("timm")
        if not timm.is_model(reference.partition(".")[0]):
            raise _unknown("timm", reference, timm.list_models())

        def construct() -> nn.Module:
            return cast(nn.Module, timm.create_model(reference, pretrained=False, **kwargs))

        return Source(
            label=f"timm:{reference}",
            construct=construct,
            kwargs=dict(kwargs),
            remarks=_torchvision_remarks(),
        )


class _Transformers:
    """``hf:DIR``, ``hf:config.json``, ``hf:gpt2``: an architecture from its configuration."""

    def names(self) -> list[str]:
        transformers = _import("transformers")
        return sorted(transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES)

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        transformers = _import("transformers")
        config = _hub_or_local_config(transformers, reference)
        for key, value in kwargs.items():
            if not hasattr(config, key):
                close = suggest(key, list(config.to_dict()))
                did = f"did you mean '{close}'? " if close else ""
                raise UsageError(
                    f"{type(config).__name__} has no '{key}'", f"{did}see the config's keys"
                )
            setattr(config, key, value)
        return Source(
            label=f"hf:{reference}",
            construct=lambda: _from_config(transformers, config),
            convention=transformers_inputs,
            kwargs=dict(kwargs),
        )


def _hub_or_local_config(transformers: Any, reference: str) -> Any:
    path = Path(reference)
    if path.is_dir():
        path = path / "config.json"
        if not path.is_file():
            raise TargetError(f"'{reference}' has no config.json", "name a saved model's folder")
    if path.suffix == ".json" or path.is_file():
        return _local_config(transformers, path)
    mapping = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    try:
        return transformers.AutoConfig.from_pretrained(reference)
    except Exception as error:  # no network, no such name, a damaged cache
        close = suggest(reference, list(mapping))
        if reference in mapping or close:
            name = reference if reference in mapping else close
            hint = (
                f"without the Hub, write its config to a folder and use hf:DIR ('{name}' is known)"
            )
        else:
            hint = "is the name right, and the Hub reachable? A local folder is hf:DIR"
        raise TargetError(
            f"the Hub gave no configuration for '{reference}': {type(error).__name__}", hint
        ) from error


def _local_config(transformers: Any, path: Path) -> Any:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(
            f"'{path}' cannot be read: {describe(error)}", "name a config.json"
        ) from error
    except json.JSONDecodeError as error:
        raise TargetError(
            f"'{path}' is not JSON: {error.msg} at line {error.lineno}", "name a config.json"
        ) from error
    model_type = values.get("model_type") if isinstance(values, dict) else None
    known = list(transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES)
    if model_type not in known:
        close = suggest(str(model_type), known)
        did = f"did you mean '{close}'? " if close else ""
        raise TargetError(
            f"'{path}' has the model_type {model_type!r}, which this transformers does not know",
            f"{did}a newer transformers may: pip install --upgrade transformers",
        )
    return transformers.AutoConfig.for_model(**values)


def _from_config(transformers: Any, config: Any) -> nn.Module:
    """Build the architecture that a configuration names, else the base model of its type."""
    for name in getattr(config, "architectures", None) or ():
        found = getattr(transformers, name, None)
        if found is not None:
            return cast(nn.Module, _new(found, config))
    return cast(nn.Module, transformers.AutoModel.from_config(config))


def _new(architecture: Any, config: Any) -> Any:
    make = getattr(architecture, "_from_config", None)
    return make(config) if make is not None else architecture(config)


def transformers_inputs(model: nn.Module) -> tuple[Any, str] | None:
    """Return what a transformers model says of its inputs, and its origin."""
    config: Any = model.config
    main = str(model.main_input_name)
    if main == "pixel_values":
        vision = getattr(config, "vision_config", None) or config
        size = getattr(vision, "image_size", None) or 224
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        channels = getattr(vision, "num_channels", None) or 3
        spec = InputSpec(name=main, shape=(1, channels, height, width))
        return (spec,), "config.image_size"
    if main == "input_values":
        return (InputSpec(name=main, shape=(1, 16000)),), "one second of sound"
    if main == "input_features":
        bins = getattr(config, "num_mel_bins", 80)
        length = 2 * getattr(config, "max_source_positions", 500)
        return (InputSpec(name=main, shape=(1, bins, length)), *_decoder_ids(config)), "config"
    dummy = getattr(model, "dummy_inputs", None)
    if not isinstance(dummy, Mapping):
        return None
    inputs = dict(dummy)
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" not in inputs:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    return inputs, "dummy_inputs"


def _decoder_ids(config: Any) -> tuple[InputSpec, ...]:
    if not getattr(config, "is_encoder_decoder", False):
        return ()
    return (InputSpec(name="decoder_input_ids", dtype="int64", shape=(1, 8)),)


def _unknown(provider: str, reference: str, names: list[str]) -> TargetError:
    close = suggest(reference, names)
    did = f"did you mean '{provider}:{close}'? " if close else ""
    return TargetError(
        f"{provider} has no model '{reference}'",
        f"{did}'modelcli list {provider} \"*{reference[:4]}*\"' lists some",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionProvider:
    """A provider made of two functions, for packages that bring their own.

    Attributes:
        name: the word before the colon.
        create: builds a model from its name and keyword arguments.
        list_models: returns all names.
    """

    name: str
    create: Callable[..., nn.Module]
    list_models: Callable[[], list[str]]

    def names(self) -> list[str]:
        """Return all names."""
        return self.list_models()

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of one model.

        Raises:
            TargetError: there is no such model.
        """
        names = self.names()
        if reference not in names:
            raise _unknown(self.name, reference, names)
        return Source(
            label=f"{self.name}:{reference}",
            construct=lambda: self.create(reference, **kwargs),
            kwargs=dict(kwargs),
        )

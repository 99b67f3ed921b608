"""Libraries of models: one file each, and one line each in `PROVIDERS`. Imports no torch.

Another package adds its own through the entry-point group ``modelcli.providers``; ours are found
the same way.
"""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from modelcli.errors import UnavailableError, UsageError, describe, did_you_mean
from modelcli.loading.providers.libraries import unknown_model

if TYPE_CHECKING:
    from torch import nn

    from modelcli.loading.example import ExampleInputs
    from modelcli.loading.source import Source

GROUP = "modelcli.providers"

PROVIDERS: dict[str, str] = {
    "torchvision": "modelcli.loading.providers.torchvision:Torchvision",
    "timm": "modelcli.loading.providers.timm:Timm",
    "hf": "modelcli.loading.providers.transformers:Transformers",
    "diffusers": "modelcli.loading.providers.diffusers:Diffusers",
    "export": "modelcli.loading.providers.programs:Exported",
    "script": "modelcli.loading.providers.programs:Scripted",
}
"""The word before the colon of a target, and where its provider is, as an entry point says it."""


class Provider(Protocol):
    """What a library of models offers; an entry point of ``modelcli.providers`` leads to one."""

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of one model."""

    def names(self) -> list[str]:
        """Return the names of all models."""


class KnowsInputs(Protocol):
    """What a provider may offer besides: the inputs of a library's model, whoever built it."""

    def inputs_of(self, model: nn.Module) -> ExampleInputs | None:
        """Return inputs; None for a model that is not of this library."""


def provider_names() -> tuple[str, ...]:
    """Return the names before the colon that lead to a library of models, ours first."""
    return (*PROVIDERS, *_others())


def list_names(provider: str, pattern: str = "*") -> list[str]:
    """Return the names of a provider's models that match a glob pattern, sorted.

    Raises:
        UnavailableError: the library is not installed.
        UsageError: no such provider, or nothing matches.
    """
    names = sorted(get_provider(provider).names())
    if not names:
        raise UsageError(
            f"{provider} has no list of models", f"it takes a file: {provider}:PATH names the model"
        )
    found = fnmatch.filter(names, pattern)
    if not found:
        did = did_you_mean(pattern, names)
        raise UsageError(
            f"no model of {provider} matches '{pattern}'",
            f"{did}quote a pattern, as '*{pattern.strip('*')[:6]}*'",
        )
    return found


def get_provider(name: str) -> Provider:
    """Return a provider by the word before the colon.

    Raises:
        UsageError: there is none of that name.
        UnavailableError: another package's provider does not load.
    """
    from importlib.metadata import EntryPoint

    place = PROVIDERS.get(name) or _others().get(name)
    if place is None:
        known = provider_names()
        did = did_you_mean(name, known)
        raise UsageError(f"unknown provider '{name}'", f"{did}the providers are {', '.join(known)}")
    try:
        found = EntryPoint(name=name, value=place, group=GROUP).load()
        provider = found() if inspect.isclass(found) else found
        if not all(callable(getattr(provider, word, None)) for word in ("find", "names")):
            raise TypeError(f"{type(provider).__name__} has no find and names")
        return cast(Provider, provider)
    except (Exception, SystemExit) as error:  # another package's import, or its constructor
        raise UnavailableError(
            f"provider '{name}' does not load: {describe(error)}",
            f"look into the package of {place}",
        ) from error


def inputs_from_providers(model: nn.Module) -> ExampleInputs | None:
    """Return the inputs that the first provider which knows the model's library has for it."""
    for name in provider_names():
        try:
            found = _inputs_from(name, model)
        except (Exception, SystemExit):
            if name in PROVIDERS:
                raise
            continue  # another package's fault, which need not have to do with this model
        if found is not None:
            return found
    return None


def _inputs_from(name: str, model: nn.Module) -> ExampleInputs | None:
    inputs_of = getattr(get_provider(name), "inputs_of", None)
    found: ExampleInputs | None = inputs_of(model) if inputs_of is not None else None
    return found


def _others() -> dict[str, str]:
    """Return the providers of other packages, which cannot take a name of ours."""
    from modelcli.plugins import entry_points

    points = {point.name: point.value for point in entry_points(group=GROUP)}
    return {name: points[name] for name in sorted(points) if name not in PROVIDERS}


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
        from modelcli.loading.source import Source

        names = self.names()
        if reference not in names:
            raise unknown_model(self.name, reference, names)
        return Source(
            label=f"{self.name}:{reference}",
            construct=lambda: self.create(reference, **kwargs),
            kwargs=dict(kwargs),
        )

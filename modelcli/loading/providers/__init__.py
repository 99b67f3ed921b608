"""Models that other packages bring: torchvision, timm, transformers, and any by entry point."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from torch import nn

from modelcli.errors import UnavailableError, UsageError, describe, suggest
from modelcli.loading.providers.libraries import unknown_model
from modelcli.loading.source import Source
from modelcli.loading.target import BUILT_IN_PROVIDERS, PROVIDER_GROUP, Target


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
    if name in ("torchvision", "timm"):
        from modelcli.loading.providers.vision import Timm, Torchvision

        return Torchvision() if name == "torchvision" else Timm()
    if name == "hf":
        from modelcli.loading.providers.transformers import Transformers

        return Transformers()
    return _from_entry_point(name)


def _from_entry_point(name: str) -> Provider:
    from importlib.metadata import entry_points

    points = {point.name: point for point in entry_points(group=PROVIDER_GROUP)}
    if name not in points:
        known = [*BUILT_IN_PROVIDERS, *points]
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
            raise unknown_model(self.name, reference, names)
        return Source(
            label=f"{self.name}:{reference}",
            construct=lambda: self.create(reference, **kwargs),
            kwargs=dict(kwargs),
        )

"""From a target to its Source: importing the file, the module or the provider that it names."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from modelcli import registry
from modelcli.errors import TargetError, UsageError
from modelcli.isolation import importable, preserved_random
from modelcli.loading.arguments import behind_open_arguments, settle_arguments
from modelcli.loading.providers import get_provider
from modelcli.loading.python_code import find_object
from modelcli.loading.source import Source
from modelcli.loading.target import Target, TargetKind, model_of, parse_target


def find_source(target: Target | str, kwargs: Mapping[str, Any] | None = None) -> Source:
    """Import what a target names and bind the constructor arguments to it.

    Raises:
        TargetError: the file or module does not import, or lacks the attribute, or the
            attribute is no model, class or factory.
        UsageError: an argument that the constructor does not take, or one that it lacks.
        UnavailableError: the provider's library is not installed.
    """
    parsed = model_of(parse_target(target) if isinstance(target, str) else target)
    given = dict(kwargs or {})
    if parsed.kind is TargetKind.CONFIG:
        return _from_config(parsed, given)
    if parsed.kind is TargetKind.PROVIDER:
        return get_provider(parsed.place).find(parsed.attribute, given)
    if parsed.kind is TargetKind.REGISTRY:
        spec = registry.get(parsed.place)
        module_name, _, attribute = spec.target.partition(":")
        found = getattr(importlib.import_module(module_name), attribute)
        return replace(_bind(found, parsed.text, given), spec=spec)
    from modelcli.loading.providers.libraries import torchvision_remarks

    known = "torchvision" in sys.modules  # by another model of this process
    found, folder, remarks = find_object(f"{parsed.place}:{parsed.attribute}")
    with preserved_random(), importable(folder):  # a class may load what it needs only now
        source = _bind(found, parsed.text, given)
    said = () if known else torchvision_remarks()
    return replace(source, folder=folder, remarks=(*remarks, *said))


def _from_config(target: Target, given: dict[str, Any]) -> Source:
    from modelcli.config import load_model_section

    inner, kwargs = load_model_section(Path(target.place))
    if inner.endswith(".toml"):
        raise TargetError(
            f"'{target.place}' names '{inner}', which is a configuration and not a model",
            'its [model] section needs target = "lenet", or another model',
        )
    return find_source(inner, {**kwargs, **given})


def _bind(found: Any, label: str, kwargs: dict[str, Any]) -> Source:
    if isinstance(found, nn.Module):
        if kwargs:
            raise UsageError(
                f"'{label}' is an instance: it takes no '{next(iter(kwargs))}'",
                "name its class or a function that returns it, to give arguments",
            )
        return Source(label=label, instance=found)
    if not callable(found) or (inspect.isclass(found) and not issubclass(found, nn.Module)):
        kind = f"a class {found.__name__}" if inspect.isclass(found) else type(found).__name__
        raise TargetError(
            f"'{label}' is {kind}, not a model",
            "name a subclass of torch.nn.Module, an instance, or a function that returns one",
        )
    given = settle_arguments(found, label, kwargs)

    def construct() -> nn.Module:
        try:
            model = found(**given)
        except TypeError as error:
            mistake = behind_open_arguments(error, found, label, given)
            if mistake is None:
                raise
            raise mistake from error
        if not isinstance(model, nn.Module):
            raise TargetError(
                f"'{label}' returns {type(model).__name__}, not a model",
                "name a subclass of torch.nn.Module, an instance, or a function that returns one",
            )
        return model

    return Source(label=label, construct=construct, kwargs=given)

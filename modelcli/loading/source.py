"""The record of a model that was found: a constructor with its arguments, or an instance."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from modelcli import registry
from modelcli.config.keys import keys_named
from modelcli.errors import UsageError, ask, did_you_mean

_SMALL_PARAMS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model that can be built, or one that already was.

    Attributes:
        label: what to call it in messages.
        construct: builds the model; None if ``instance`` is given.
        instance: a module that somebody else owns: only ever copied.
        spec: its record, if it is registered.
        folder: importable while the model is built and run.
        convention: what a provider knows of a built model's inputs: an ``InputSpec``, a tuple of
            them, or tensors as a tuple or a dict, together with their origin; or None.
        kwargs: constructor arguments that the user gave.
        remarks: what the user should know about how it was found.
        method: called in place of ``forward``; empty for ``forward`` itself.
    """

    label: str
    construct: Callable[[], nn.Module] | None = None
    instance: nn.Module | None = None
    spec: registry.ModelSpec | None = None
    folder: Path | None = None
    convention: Callable[[nn.Module], Any] | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    method: str = ""

    @property
    def is_small(self) -> bool:
        """Whether the registry says that the model may run for real at once."""
        return self.spec is not None and not self.kwargs and self.spec.params <= _SMALL_PARAMS


def check_arguments(
    found: Callable[..., Any],
    label: str,
    kwargs: Mapping[str, Any],
    examples: Mapping[str, str] | None = None,
) -> None:
    """Check constructor arguments against a signature.

    Args:
        examples: how an argument could be given, where its annotation does not say it alone.

    Raises:
        UsageError: an unknown argument, or required ones that are missing.
    """
    try:
        parameters = dict(inspect.signature(found).parameters)
    except (TypeError, ValueError):  # built-in callables have none
        return
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = [
        n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    for key in kwargs:
        if key not in named and not open_ended:
            did = did_you_mean(key, named) or ask(*keys_named(key))
            takes = f"it takes {', '.join(named)}" if named else "it takes no arguments"
            raise UsageError(f"'{label}' takes no argument '{key}'", did + takes)
    missing = [
        name
        for name, p in parameters.items()
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and name not in kwargs
    ]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        known = examples or {}
        example = " ".join(
            known.get(name) or f"--set {name}={_example(parameters[name])}" for name in missing
        )
        raise UsageError(f"the constructor of '{label}' needs {listed}", f"give it: {example}")


def _example(parameter: inspect.Parameter) -> str:
    """Return a value that could stand for an argument, by its annotation."""
    names = {"int": "1", "float": "0.1", "bool": "true", "str": "text"}
    annotation = parameter.annotation
    return names.get(getattr(annotation, "__name__", str(annotation)), "VALUE")

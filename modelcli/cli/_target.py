"""What the command line says about a model, checked before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcli.cli._output import Output
from modelcli.loading.grammar import make_request
from modelcli.loading.target import Target, model_of, parse_target
from modelcli.loading.types import InputRequest

if TYPE_CHECKING:
    from modelcli.loading.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArguments:
    """A target with its constructor arguments and inputs."""

    target: Target
    model_kwargs: Mapping[str, Any]
    request: InputRequest


def read_arguments(
    target: str,
    *,
    inputs: Sequence[str] | None = None,
    batch_size: int | None = None,
    kwargs: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    factory: str | None = None,
) -> ModelArguments:
    """Check a target, its ``--set`` and its inputs.

    Raises:
        TargetError: the target is malformed or its file does not exist.
        UsageError: the name is not registered, or an input is malformed.
        ConfigError: a ``--set`` is wrong.
    """
    parsed = model_of(parse_target(target))
    return ModelArguments(
        target=parsed,
        model_kwargs=read_model_kwargs(settings) or {},
        request=make_request(inputs, batch_size, kwargs, factory),
    )


def find_model(out: Output, arguments: ModelArguments) -> Source:
    """Return where a model comes from, and say what the user should know about how it was found.

    Raises:
        TargetError, UnavailableError: the target leads to no model.
    """
    from modelcli.loading.find import find_source

    source = find_source(arguments.target, arguments.model_kwargs)
    note_remarks(out, source.remarks)
    return source


def note_remarks(out: Output, remarks: Sequence[str]) -> None:
    """Say on stderr what the user should know about how a target was found."""
    for remark in dict.fromkeys(remarks):
        out.note(f"note: {remark}")


def read_model_kwargs(settings: Sequence[str] | None) -> Mapping[str, Any] | None:
    """Return the constructor arguments of ``--set``; None where it was not given.

    Raises:
        ConfigError: a ``--set`` is wrong.
    """
    if not settings:
        return None
    from modelcli.config import parse_settings  # the whole configuration, only if asked for

    return parse_settings(settings).model_kwargs

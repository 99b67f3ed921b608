"""A configuration from a file, ``--set`` and flags; every mistake is told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelcli.config.keys import KEYS, OPEN_SECTIONS, SECTIONS
from modelcli.config.layers import (
    Layer,
    Mistake,
    file_layer,
    flags_layer,
    raise_for,
    settings_layer,
)
from modelcli.config.optimizer_names import check_optimizer_name
from modelcli.config.sections import DEFAULT_STEPS, OPTIMIZERS, RunConfig
from modelcli.errors import ConfigError, UsageError, did_you_mean
from modelcli.losses import LOSSES

_SCHEDULE_KEYS = {
    "schedule.final": ("cosine", "linear"),
    "schedule.step_size": ("step",),
    "schedule.gamma": ("step",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What ``--set`` was given.

    Attributes:
        model_kwargs: constructor arguments of the model.
        dotted: checked values of the configuration's other keys, ``{"train.steps": 50}``.
    """

    model_kwargs: Mapping[str, object] = field(default_factory=dict)
    dotted: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A configuration, and where each of its values came from.

    Attributes:
        config: the values.
        sources: dotted key -> ``"--set"``, a flag or a file's path; a default has no entry.
            The argument NAME of a model, optimiser or loss is ``SECTION.kwargs.NAME``.
    """

    config: RunConfig
    sources: Mapping[str, str]


def parse_settings(settings: Sequence[str]) -> Settings:
    """Read ``--set KEY=VALUE``: a dotted key of the configuration, or an argument of the model.

    Raises:
        ConfigError: no ``=``, an unknown key, a value that is not TOML, of the wrong type or out
            of range.
    """
    layer = settings_layer(settings)
    raise_for(layer.mistakes)
    prefix = "model.kwargs."
    return Settings(
        model_kwargs={
            key.removeprefix(prefix): value
            for key, value in layer.values.items()
            if key.startswith(prefix)
        },
        dotted={k: value for k, value in layer.values.items() if not k.startswith(prefix)},
    )


def load_config(
    *files: str | Path,
    settings: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
) -> Resolved:
    """Return the configuration of a run; default < file < ``--set`` < flag.

    Args:
        files: TOML to read; a later one overrides an earlier one.
        settings: what ``--set`` was given, each ``KEY=VALUE``.
        flags: dotted key -> value; None means that the flag was not given.

    Raises:
        ConfigError: a file cannot be read or is not TOML; or any keys or values are wrong, all of
            which are told at once.
    """
    layers = [file_layer(file) for file in files]
    layers += [settings_layer(settings), flags_layer(flags or {})]
    raise_for([mistake for layer in layers for mistake in layer.mistakes])
    values, sources = _merge(layers)
    raise_for(list(_combinations(values, sources)))
    return Resolved(config=_complete(_build(values)), sources=sources)


def _merge(layers: Sequence[Layer]) -> tuple[dict[str, object], dict[str, str]]:
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        _drop_other_length(layer, values, sources)
        for name, value in layer.values.items():
            values[name] = value
            sources[name] = layer.labels.get(name, layer.source)
    return values, sources


def _drop_other_length(layer: Layer, values: dict[str, object], sources: dict[str, str]) -> None:
    """Let a higher source's ``steps`` replace a lower one's ``epochs``, and the reverse."""
    for mine, other in (("train.steps", "train.epochs"), ("train.epochs", "train.steps")):
        if mine in layer.values and other not in layer.values:
            values.pop(other, None)
            sources.pop(other, None)


def _combinations(values: Mapping[str, object], sources: Mapping[str, str]) -> Iterator[Mistake]:
    """Yield what each value allows but the values together do not."""
    if "train.steps" in values and "train.epochs" in values:
        yield Mistake(
            message=f"train.steps ({sources['train.steps']}) and train.epochs "
            f"({sources['train.epochs']}) cannot both be given",
            hint="leave one of them out",
        )
    if values.get("data.samples") == 0 and "train.epochs" in values:
        yield Mistake(
            message="train.epochs needs a number of samples, and data.samples is 0 (endless)",
            hint="give the length as train.steps, or a number of samples",
        )
    schedule = values.get("schedule.name", "constant")
    for name, kinds in _SCHEDULE_KEYS.items():
        if values.get(name, KEYS[name].default) != KEYS[name].default and schedule not in kinds:
            yield Mistake(
                message=f"{name} ({sources[name]}) has no effect with the schedule '{schedule}'",
                hint=f"it is for --schedule {' or '.join(kinds)}",
            )
    try:
        check_optimizer_name(str(values.get("optimizer.name", "adam")))
    except UsageError as error:
        yield Mistake(message=error.message, hint=error.hint)
    yield from _unknown_arguments(values, sources)


def _unknown_arguments(
    values: Mapping[str, object], sources: Mapping[str, str]
) -> Iterator[Mistake]:
    """Yield keyword arguments that the optimiser or the loss does not take, where that is known."""
    optimizer = str(values.get("optimizer.name", "adam")).lower()
    loss = str(values.get("loss.name", "auto"))
    known = {
        "optimizer": (optimizer, OPTIMIZERS.get(optimizer)),
        "loss": (loss, LOSSES[loss].arguments if loss in LOSSES else None),
    }
    for name in values:
        section, _, argument = name.partition(".")
        argument = argument.removeprefix("kwargs.")
        owner, allowed = known.get(section, ("", None))
        if allowed is None or argument in (*allowed, "name", "lr"):
            continue
        hint = did_you_mean(
            argument,
            (*allowed, "name", "lr"),
            f"{section}.{{}}",
            otherwise=f"it takes {_listed(allowed)}",
        )
        message = f"{owner} takes no '{argument}' ({section}.{argument}, {sources[name]})"
        yield Mistake(message=message, hint=hint)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _build(values: Mapping[str, object]) -> RunConfig:
    given: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    kwargs: dict[str, dict[str, object]] = {section: {} for section in OPEN_SECTIONS}
    for name, value in values.items():
        section, _, rest = name.partition(".")
        if rest.startswith("kwargs."):
            kwargs[section][rest.removeprefix("kwargs.")] = value
        else:
            given[section][rest] = value
    for section in OPEN_SECTIONS:
        given[section]["kwargs"] = kwargs[section]
    return RunConfig(**{section: SECTIONS[section](**given[section]) for section in SECTIONS})


def _complete(config: RunConfig) -> RunConfig:
    """Fill in the defaults that depend on other keys."""
    if config.train.steps is None and config.train.epochs is None:
        config = replace(config, train=replace(config.train, steps=DEFAULT_STEPS))
    return config


def load_model_section(file: str | Path) -> tuple[str, dict[str, object]]:
    """Return the target and the constructor arguments of a file's ``[model]`` section.

    Raises:
        ConfigError: as :func:`load_config`; all mistakes of the file are told; or the file names
            no model.
    """
    resolved = load_config(file)
    if "model.target" not in resolved.sources:
        raise ConfigError(
            f"{file} names no model", 'give it a section [model] with target = "lenet"'
        )
    model = resolved.config.model
    return model.target, dict(model.kwargs)

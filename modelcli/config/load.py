"""A configuration from a file, ``--set`` and flags; every mistake is told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelcli.config.keys import KEYS, OPEN_SECTIONS, SECTIONS
from modelcli.config.sections import DEFAULT_STEPS, OPTIMIZERS, RunConfig
from modelcli.config.values import check_value, parse_value
from modelcli.errors import ConfigError, suggest
from modelcli.losses import LOSSES

_SCHEDULE_KEYS = {
    "schedule.final": ("cosine", "linear"),
    "schedule.step_size": ("step",),
    "schedule.gamma": ("step",),
}
_SEE_ALL = "'modelcli train --dry-run' prints every key with its value"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mistake:
    message: str
    hint: str = ""


@dataclass(slots=True, kw_only=True)
class _Layer:
    """One source of values; a higher rank overrides a lower one."""

    source: str
    values: dict[str, object] = field(default_factory=dict)
    mistakes: list[_Mistake] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


def parse_settings(settings: Sequence[str]) -> Settings:
    """Read ``--set KEY=VALUE``: a dotted key of the configuration, or an argument of the model.

    Raises:
        ConfigError: no ``=``, an unknown key, a value that is not TOML, of the wrong type or out
            of range.
    """
    layer = _settings_layer(settings)
    _raise_for(layer.mistakes)
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
    layers = [_file_layer(file) for file in files]
    layers += [_settings_layer(settings), _flags_layer(flags or {})]
    _raise_for([mistake for layer in layers for mistake in layer.mistakes])
    values, sources = _merge(layers)
    _raise_for(list(_combinations(values, sources)))
    return Resolved(config=_complete(_build(values)), sources=sources)


def _file_layer(file: str | Path) -> _Layer:
    layer = _Layer(source=str(file))
    for section, table in _read_toml(file).items():
        if section not in SECTIONS:
            close = suggest(section, list(SECTIONS))
            hint = f"did you mean '{close}'?" if close else f"there are {', '.join(SECTIONS)}"
            layer.mistakes.append(
                _Mistake(message=f"unknown section '{section}' in {file}", hint=hint)
            )
        elif not isinstance(table, dict):
            message = f"'{section}' in {file} must be a table, not {table!r}"
            layer.mistakes.append(
                _Mistake(message=message, hint=f"write [{section}] above its keys")
            )
        else:
            for key, value in table.items():
                _put(layer, f"{section}.{key}", value, f"{section}.{key} in {file}")
    return layer


def _read_toml(file: str | Path) -> dict[str, object]:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"cannot read the configuration {file}: {reason}", _nearby(file)
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"cannot read the configuration {file}: it is not UTF-8 text", "is it TOML?"
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{file} is not TOML: {error}", "strings need quotes, tables look like [train]"
        ) from None


def _nearby(file: str | Path) -> str:
    path = Path(file)
    here = sorted(str(each) for each in path.parent.glob("*.toml"))
    close = suggest(str(path), here)
    return f"did you mean '{close}'?" if close else "a configuration is a TOML file"


def _settings_layer(settings: Sequence[str]) -> _Layer:
    layer = _Layer(source="--set")
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            message = f"--set needs KEY=VALUE, not '{setting}'"
            layer.mistakes.append(_Mistake(message=message, hint="as in --set train.steps=50"))
            continue
        try:
            value = parse_value(text.strip())
        except ValueError as error:
            layer.mistakes.append(
                _refused(f"--set {key}", error, "strings may be quoted: '\"text\"'")
            )
            continue
        _put(layer, key if "." in key else f"model.kwargs.{key}", value, f"--set {key}")
    return layer


def _flags_layer(flags: Mapping[str, object]) -> _Layer:
    layer = _Layer(source="flag")
    for name, value in flags.items():
        if value is None:
            continue
        label = (KEYS[name].flag or name) if name in KEYS else name
        layer.labels[name] = label
        _put(layer, name, value, label)
    return layer


def _put(layer: _Layer, name: str, value: object, where: str) -> None:
    """Store a checked value under its key, or the mistake."""
    section, _, rest = name.partition(".")
    if name in KEYS:
        try:
            layer.values[name] = check_value(KEYS[name], value)
        except ValueError as error:
            layer.mistakes.append(_refused(where, error, KEYS[name].doc))
    elif section in OPEN_SECTIONS and rest == "kwargs" and isinstance(value, dict):
        layer.values.update({f"{name}.{key}": item for key, item in value.items()})
    elif section in OPEN_SECTIONS and rest:
        layer.values[f"{section}.kwargs.{rest.removeprefix('kwargs.')}"] = value
    else:
        layer.mistakes.append(_unknown(name, layer.source))


def _refused(where: str, error: ValueError, doc: str) -> _Mistake:
    """Return the mistake of a value; the error may bring a hint of its own as a second argument."""
    text, hint = (*error.args, doc.replace("`", "'"))[:2]
    return _Mistake(message=f"{where} {text}", hint=hint)


def _unknown(name: str, source: str) -> _Mistake:
    last = name.rpartition(".")[2]
    elsewhere = next((key for key in KEYS if key.endswith(f".{last}")), None)
    close = elsewhere or suggest(name, list(KEYS))
    hint = f"did you mean '{close}'?" if close else _SEE_ALL
    return _Mistake(message=f"unknown key '{name}' ({source})", hint=hint)


def _merge(layers: Sequence[_Layer]) -> tuple[dict[str, object], dict[str, str]]:
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        _drop_other_length(layer, values, sources)
        for name, value in layer.values.items():
            values[name] = value
            sources[name] = layer.labels.get(name, layer.source)
    return values, sources


def _drop_other_length(layer: _Layer, values: dict[str, object], sources: dict[str, str]) -> None:
    """Let a higher source's ``steps`` replace a lower one's ``epochs``, and the reverse."""
    for mine, other in (("train.steps", "train.epochs"), ("train.epochs", "train.steps")):
        if mine in layer.values and other not in layer.values:
            values.pop(other, None)
            sources.pop(other, None)


def _combinations(values: Mapping[str, object], sources: Mapping[str, str]) -> Iterator[_Mistake]:
    """Yield what each value allows but the values together do not."""
    if "train.steps" in values and "train.epochs" in values:
        yield _Mistake(
            message=f"train.steps ({sources['train.steps']}) and train.epochs "
            f"({sources['train.epochs']}) cannot both be given",
            hint="leave one of them out",
        )
    if values.get("data.samples") == 0 and "train.epochs" in values:
        yield _Mistake(
            message="train.epochs needs a number of samples, and data.samples is 0 (endless)",
            hint="give the length as train.steps, or a number of samples",
        )
    schedule = values.get("schedule.name", "constant")
    for name, kinds in _SCHEDULE_KEYS.items():
        if values.get(name, KEYS[name].default) != KEYS[name].default and schedule not in kinds:
            yield _Mistake(
                message=f"{name} ({sources[name]}) says nothing of the schedule '{schedule}'",
                hint=f"it is for --schedule {' or '.join(kinds)}",
            )
    yield from _unknown_arguments(values, sources)


def _unknown_arguments(
    values: Mapping[str, object], sources: Mapping[str, str]
) -> Iterator[_Mistake]:
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
        close = suggest(argument, [*allowed, "name", "lr"])
        hint = f"did you mean '{section}.{close}'?" if close else f"it takes {_listed(allowed)}"
        message = f"{owner} takes no '{argument}' ({section}.{argument}, {sources[name]})"
        yield _Mistake(message=message, hint=hint)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _raise_for(mistakes: Sequence[_Mistake]) -> None:
    if not mistakes:
        return
    if len(mistakes) == 1:
        raise ConfigError(mistakes[0].message, mistakes[0].hint)
    told = [f"{each.message} ({each.hint})" if each.hint else each.message for each in mistakes]
    listed = "".join(f"\n  {number}. {text}" for number, text in enumerate(told, 1))
    raise ConfigError(f"{len(told)} mistakes in the configuration:{listed}", _SEE_ALL)


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

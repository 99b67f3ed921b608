"""The keys of a configuration: name, flag, sentence, limits and heading of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from modelcli.config.sections import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the configuration.

    Attributes:
        name: dotted, ``train.steps``.
        flag: how the command line calls it; None where it does not.
        default: value where nothing sets it.
        doc: one sentence.
        hint: the annotated type.
        limits: ``least``, ``above``, ``below`` and ``choices``.
        short: the flag's letter, or ``""``.
        metavar: what stands for the value in the help, or ``""``.
        group: under which heading the help lists it.
    """

    name: str
    flag: str | None
    default: object
    doc: str
    hint: Any
    limits: Mapping[str, Any]
    short: str
    metavar: str
    group: str


SECTIONS: dict[str, type] = {
    "model": ModelConfig,
    "data": DataConfig,
    "train": TrainConfig,
    "optimizer": OptimizerConfig,
    "loss": LossConfig,
    "schedule": ScheduleConfig,
}
OPEN_SECTIONS = ("model", "optimizer", "loss")  # a key they do not know is a keyword argument


# Under which heading the help lists the keys of a section that say nothing else.
GROUPS = {
    "model": "Model",
    "data": "Data",
    "train": "Optimisation",
    "optimizer": "Optimisation",
    "loss": "Optimisation",
    "schedule": "Optimisation",
}


def _flag(name: str, given: str | None) -> str | None:
    return given if given or given is None else "--" + name.replace("_", "-")


def _section_keys(section: str, kind: type) -> dict[str, Key]:
    hints = get_type_hints(kind)
    return {
        f"{section}.{item.name}": Key(
            name=f"{section}.{item.name}",
            flag=_flag(item.name, item.metadata["flag"]),
            default=item.default,
            doc=item.metadata["doc"],
            hint=hints[item.name],
            limits=item.metadata,
            short=item.metadata["short"],
            metavar=item.metadata["metavar"],
            group=item.metadata["group"] or GROUPS[section],
        )
        for item in fields(kind)
        if item.name != "kwargs"
    }


KEYS: dict[str, Key] = {
    name: key
    for section, kind in SECTIONS.items()
    for name, key in _section_keys(section, kind).items()
}


def keys_named(last: str) -> tuple[str, ...]:
    """Return the keys whose last part is this; none where that says too little, as of ``name``."""
    found = tuple(key for key in KEYS if key.rpartition(".")[2] == last)
    return found if len(found) <= 2 else ()

"""The closed lists that the shell offers on TAB, and targets; none of them needs torch."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from modelcli.cli._complete_columns import (
    compare_columns,
    compare_numbers,
    summary_columns,
    summary_numbers,
)


def targets(incomplete: str) -> list[str]:
    """Return registered names, models of the library or file that is typed, and files."""
    from modelcli.loading.providers import provider_names
    from modelcli.loading.target import callables_in
    from modelcli.registry import all_specs

    place, colon, _ = incomplete.partition(":")
    names = [spec.name for spec in all_specs()]
    providers = [each for each in provider_names() if each.startswith(place)]
    if colon and place in providers:
        return _of_provider(place)
    if colon:
        return [f"{place}:{name}" for name in callables_in(Path(place))]
    files = _files(incomplete)
    ours = [name for name in names if name.startswith(incomplete)]
    if len(providers) == 1 and incomplete and not ours and not files:
        return _of_provider(providers[0])  # the shell would put a space after the colon
    models = [f"{file}:{name}" for file in files if file.endswith(".py")
              for name in callables_in(Path(file))]  # fmt: skip
    return [*names, *(f"{each}:" for each in providers), *models, *files]


def _of_provider(provider: str) -> list[str]:
    from modelcli.loading.providers.catalogue import libraries, library_names

    names = library_names(provider) if provider in libraries() else ()
    return [f"{provider}:{name}" for name in names]


def _files(incomplete: str) -> list[str]:
    """Return folders, and files that can hold a model or tensors, as they would be typed."""
    from modelcli.checkpoints.formats import file_suffixes

    head = incomplete[: incomplete.rfind("/") + 1]
    suffixes = (".py", ".toml", *file_suffixes())
    try:
        found = sorted(Path(head or ".").iterdir())
    except OSError:
        return []
    typed = [f"{head}{path.name}" for path in found
             if not path.name.startswith((".", "__")) and
             (os.path.isdir(path) or path.name.endswith(suffixes))]  # fmt: skip
    return [each for each in typed if each.startswith(incomplete)] if incomplete else []


def _providers(_typed: str) -> Iterable[str]:
    from modelcli.loading.providers import provider_names
    from modelcli.registry import all_specs

    return (*provider_names(), *(spec.name for spec in all_specs()))


def _optimizers(_typed: str) -> Iterable[str]:
    from modelcli.config.optimizer_names import optimizer_names

    return optimizer_names()


def _losses(_typed: str) -> Iterable[str]:
    from modelcli.losses import LOSSES

    return LOSSES


def _data(_typed: str) -> Iterable[str]:
    from modelcli.config.data_names import DATA_NAMES, DATA_SUFFIXES

    files = (str(path) for path in sorted(Path().iterdir()) if path.suffix in DATA_SUFFIXES)
    return (*DATA_NAMES, *files)


def _schemes(_typed: str) -> Iterable[str]:
    from modelcli.initialise.rules import SCHEMES

    return SCHEMES


def _rules(_typed: str) -> Iterable[str]:
    from modelcli.checks.catalogue import all_rules

    return sorted(rule.id for rule in all_rules())


def _choices(flag: str, _typed: str) -> Iterable[str]:
    from modelcli.config import KEYS

    found: tuple[str, ...] = next(k.limits["choices"] for k in KEYS.values() if k.flag == flag)
    return found


def _engines(_typed: str) -> Iterable[str]:
    from modelcli.timing.options import ENGINES

    return ENGINES


def _parts(_typed: str) -> Iterable[str]:
    from modelcli.timing.options import BY

    return BY


COMPLETERS: dict[str, Callable[[str], Iterable[str]]] = {
    "target": targets,
    "model": targets,
    "words": targets,
    "a": targets,
    "b": targets,
    "provider": _providers,
    "--optimizer": _optimizers,
    "--loss": _losses,
    "--data": _data,
    "--init": _schemes,
    "--device": lambda _typed: ("auto", "cpu", "cuda", "mps"),
    "--metric": lambda _typed: ("loss", "accuracy", "lr", "samples_per_s"),
    "--select": _rules,
    "--ignore": _rules,
    "check --explain": _rules,
    "summary --columns": summary_columns,
    "summary --sort": summary_numbers,
    "compare --columns": compare_columns,
    "compare --sort": compare_numbers,
    "targets": targets,
    "time --engine": _engines,
    "time --by": _parts,
    **{f"time {flag}": functools.partial(_choices, flag) for flag in ("--dtype", "--amp")},
    **{
        f"train {flag}": functools.partial(_choices, flag)
        for flag in ("--schedule", "--dtype", "--amp", "--matmul-precision", "--engine")
    },
}
"""By command and option, by option or by an argument's name: what it may be, given its start."""

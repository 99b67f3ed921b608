"""Which model is meant by a name that is not registered. Imports no torch."""

from __future__ import annotations

import re

from modelcli import registry
from modelcli.errors import UsageError, ask, closest, ignoring_case
from modelcli.loading.providers.catalogue import libraries, library_names
from modelcli.meanings import STRANGERS

_SHOWN = 4  # names of one library
_LONG = 6  # the libraries have a name like any shorter one
_HUB_NAME = re.compile(r"([a-z0-9]+)(-[a-z0-9.]+)*-[a-z]+(-[a-z0-9.]+)*")  # bert-base-uncased


def unknown_model(name: str) -> UsageError:
    """Return the error for a name that is not registered: which is meant, or who has such names."""
    asked = ask(*models_like(name)) or libraries_with(name)
    return UsageError(f"unknown model '{name}'", f"{asked}'modelcli list' shows all")


def models_like(name: str) -> tuple[str, ...]:
    """Return targets that a name may be meant for, best first.

    These are, in this order: what only case and dashes tell from it, with us or in any library;
    a name of the Hub; what is spelled like it, with us, else in the libraries.
    """
    ours = [spec.name for spec in registry.all_specs()]
    same = ignoring_case(name, ours)
    if same is not None:
        return (same,)
    theirs = {provider: library_names(provider) for provider in libraries()}
    exact = {provider: ignoring_case(name, names) for provider, names in theirs.items()}
    found = [f"{provider}:{same}" for provider, same in exact.items() if same is not None]
    if found or _is_hub_name(name):
        return tuple(found) or (f"hf:{name}",)
    if name.lower().replace("_", "").replace("-", "") in STRANGERS:
        return ()
    near = _with_its_number(name, closest(name, ours))
    if near or len(name) < _LONG or libraries_with(name):
        return near
    each = {
        provider: _with_its_number(name, closest(name, names))[:1]
        for provider, names in theirs.items()
    }
    found = [f"{provider}:{close}" for provider, names in each.items() for close in names]
    best = closest(name, [each.partition(":")[2] for each in found])  # no second best beside it
    return tuple(each for each in found if each.partition(":")[2] in best)


def _with_its_number(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what has another number: gpt3 is no gpt2 in which a letter is wrong."""
    number = re.sub(r"\D", "", name)
    return tuple(n for n in names if not number or re.sub(r"\D", "", n) in ("", number))


def libraries_with(part: str) -> str:
    """Name models of libraries in whose names a part begins as a word does, and how to list all."""
    word = part.strip("*").lower()
    if len(word) < 3 or re.search(r"[^\w.-]", word):
        return ""
    said = []
    start = "^" if len(word) == 3 else "(?:^|[_.-])"
    begins = re.compile(start + re.escape(word), re.IGNORECASE)
    for provider in libraries():
        found = [name for name in library_names(provider) if begins.search(name)]
        found.sort(key=lambda name: (not name.lower().startswith(word), len(name), name))
        if found:
            shown = ", ".join(f"{provider}:{name}" for name in found[:_SHOWN])
            more = f" and more ('modelcli list {provider} \"*{word}*\"')"
            said.append(shown + (more if len(found) > _SHOWN else ""))
    return f"the libraries have {'; '.join(said)}; " if said else ""


def _is_hub_name(name: str) -> bool:
    """Tell whether a name begins as an architecture of transformers, as gpt2-medium does."""
    match = _HUB_NAME.fullmatch(name)
    return match is not None and match.group(1) in library_names("hf")

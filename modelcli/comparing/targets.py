"""From patterns to targets: ``timm:resnet*`` is every model of timm that begins so.

Imports no torch; of a library whose names can be read from its source, not even the library.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Sequence

from modelcli import registry
from modelcli.errors import TargetError, UsageError, did_you_mean
from modelcli.loading.providers import list_names, provider_names
from modelcli.loading.providers.catalogue import libraries, library_names
from modelcli.loading.target import TargetKind, model_of, parse_target

RESULT_SUFFIX = ".json"


def is_pattern(word: str) -> bool:
    """Tell whether a word stands for several targets."""
    return any(character in word for character in "*?") and not os.path.exists(word)


def is_result(word: str) -> bool:
    """Tell whether a word names an earlier result and no model."""
    return word.endswith(RESULT_SUFFIX) and not word.startswith("hf:")


def expand(words: Sequence[str], *, limit: int | None = None) -> list[str]:
    """Return the targets that words name, in their order and each once.

    Args:
        words: targets, and patterns of names in a library or among the registered models.
        limit: so many at most, the first.

    Raises:
        UsageError: a pattern matches nothing, or the provider is not known.
        TargetError: a target is malformed, or its file does not exist.
    """
    found: dict[str, None] = {}
    for word in words:
        found.update(dict.fromkeys(_matching(word) if is_pattern(word) else [_checked(word)]))
    return list(found)[:limit]


def _checked(word: str) -> str:
    target = parse_target(word)
    try:
        model_of(target)
    except TargetError as error:
        if target.kind is not TargetKind.CHECKPOINT:
            raise
        raise TargetError(
            error.message, f"'modelcli diff' compares tensors: modelcli diff {word} OTHER"
        ) from None
    return word


def _matching(word: str) -> Iterable[str]:
    provider, colon, pattern = word.partition(":")
    if not colon:
        names = [spec.name for spec in registry.all_specs()]
        matching = fnmatch.filter(names, word)
        if not matching:
            raise UsageError(
                f"no registered model matches '{word}'",
                f"a library's are timm:{word}; 'modelcli list' shows what there is",
            )
        return matching
    if provider not in provider_names():
        did = did_you_mean(provider, provider_names(), f"{{}}:{pattern}")
        raise UsageError(
            f"'{word}' is no pattern: '{provider}' is no library of models",
            f"{did}the libraries are {', '.join(provider_names())}",
        )
    known = library_names(provider) if provider in libraries() else ()
    matching = fnmatch.filter(sorted(known), pattern) or list_names(provider, pattern)
    return [f"{provider}:{name}" for name in matching]

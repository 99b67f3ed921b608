"""Activation checkpointing of modules that a pattern names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from modelcli.errors import UsageError, did_you_mean
from modelcli.modules import named_modules


def match_modules(model: nn.Module, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the paths of the modules that patterns name, by path or by class.

    A module inside one that is named is left out: it is computed again with it.

    Raises:
        UsageError: a pattern names none.
    """
    known = [(path, type(module).__name__) for path, module in named_modules(model) if path]
    chosen: list[str] = []
    for pattern in patterns:
        found = [path for path, kind in known if _matches(pattern, path, kind)]
        if not found:
            names = dict.fromkeys([*(path for path, _ in known), *(kind for _, kind in known)])
            raise UsageError(
                f"--checkpoint '{pattern}' matches no module",
                f"{did_you_mean(pattern, names)}give a path, a pattern as 'layers.*', or a class",
            )
        chosen += found
    inside = set(chosen)
    return tuple(path for path in dict.fromkeys(chosen) if not _has_parent(path, inside))


def _matches(pattern: str, path: str, kind: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(kind, pattern)


def _has_parent(path: str, chosen: set[str]) -> bool:
    names = path.split(".")
    return any(".".join(names[:length]) in chosen for length in range(1, len(names)))


@contextlib.contextmanager
def checkpointed(model: nn.Module, paths: Sequence[str]) -> Iterator[None]:
    """Compute the inside of modules of our own again in the backward pass, meanwhile."""
    wanted = set(paths)
    chosen = [module for path, module in named_modules(model) if path in wanted]
    for module in chosen:
        vars(module)["forward"] = _again(module.forward)
    try:
        yield
    finally:
        for module in chosen:
            vars(module).pop("forward", None)


def _again(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        # No value matters here, so the random state, which takes memory, need not be kept.
        return checkpoint(
            forward, *args, use_reentrant=False, preserve_rng_state=False,
            determinism_check="none", **kwargs,
        )  # fmt: skip

    return run

"""Which optimisers torch has, read from its source: importing torch takes seconds."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from modelcli.config.sections import OPTIMIZERS
from modelcli.errors import UsageError, did_you_mean

_IMPORT = re.compile(r"import (\w+) as \1$", re.MULTILINE)


@functools.cache
def optimizer_names() -> tuple[str, ...]:
    """Return the names of the optimisers of ``torch.optim``, lower case and sorted."""
    torch = importlib.util.find_spec("torch")
    if torch is None or torch.origin is None:
        return tuple(OPTIMIZERS)
    text = (Path(torch.origin).parent / "optim" / "__init__.py").read_text(encoding="utf-8")
    named = {name.lower() for name in _IMPORT.findall(text)}
    return tuple(sorted({*OPTIMIZERS, *named} - {"optimizer"}))


def check_optimizer_name(name: str) -> None:
    """Refuse what is no optimiser of torch's, and what names a package that is not there.

    Nothing is imported: whether a package has the class is not asked.

    Raises:
        UsageError: it is none.
    """
    place, colon, _ = name.partition(":")
    if not colon:
        if name.lower() not in optimizer_names():
            raise unknown_optimizer(name, optimizer_names())
        return
    top = place.partition(".")[0]
    if importlib.machinery.PathFinder.find_spec(top, [str(Path.cwd()), *sys.path]) is None:
        raise missing_module(name, top)


def unknown_optimizer(name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is none of torch's optimisers."""
    names = sorted(known)
    return UsageError(
        f"unknown optimizer '{name}'",
        f"{did_you_mean(name, names)}there are {', '.join(names)}; one of another package is "
        "package.mod:NAME",
    )


def missing_module(name: str, module: str | None) -> UsageError:
    """Return the error for an optimiser whose module is not found."""
    return UsageError(
        f"unknown optimizer '{name}': no module named '{module}'",
        "is it installed, or in the folder that you are in? It is written package.mod:NAME",
    )

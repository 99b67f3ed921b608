"""Other people's libraries of models: importing them, and saying what they lack."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelcli.errors import TargetError, UnavailableError, describe, did_you_mean
from modelcli.files import parse_json, read_limited

_OF_THE_EXTRA = ("torchvision", "timm", "transformers")
_ALL = "  (or all of them: pip install 'modelcli[zoo]')"


def import_library(package: str) -> Any:
    """Import a library, beside a torch that torchvision was not built for if need be.

    Raises:
        UnavailableError: it is not installed, or does not import.
    """
    if importlib.util.find_spec(package) is None:
        raise UnavailableError(
            f"{package} is not installed",
            f"pip install {package}{_ALL if package in _OF_THE_EXTRA else ''}",
        )
    if package != "torchvision":
        settle_torchvision()  # timm imports it at once, transformers whenever it first needs it
    try:
        with lenient_torchvision():
            return importlib.import_module(package)
    except Exception as error:  # a broken installation raises anything
        raise UnavailableError(
            f"{package} is installed but does not import: {describe(error)}",
            f"does its version fit this torch? pip install --upgrade {package}",
        ) from error


def settle_torchvision() -> None:
    """Import torchvision, if it is here, before another library does so less carefully."""
    if importlib.util.find_spec("torchvision") is None or "torchvision" in sys.modules:
        return
    with contextlib.suppress(UnavailableError):
        import_library("torchvision")


@contextlib.contextmanager
def lenient_torchvision() -> Iterator[None]:
    """Let torchvision import where its compiled operators do not load.

    Its wheel registers fake kernels for operators (``torchvision::nms``) that only exist if its
    binary matches torch's. Describing a model needs none of them.
    """
    import torch

    register_fake = torch.library.register_fake

    def lenient(op: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(op, str) and op.startswith("torchvision::") and not _exists(op):
            return lambda function: function
        return register_fake(op, *args, **kwargs)

    torch.library.register_fake = lenient
    try:
        yield
    finally:
        torch.library.register_fake = register_fake


def _exists(operator: str) -> bool:
    import torch

    namespace, _, name = operator.partition("::")
    return hasattr(getattr(torch.ops, namespace), name)


def torchvision_remarks() -> tuple[str, ...]:
    """Say so where torchvision runs without its compiled operators."""
    if "torchvision" not in sys.modules or _exists("torchvision::nms"):
        return ()
    return (
        "torchvision was built for another torch: its compiled operators (nms, roi_align) are "
        "missing here; describing models does not need them",
    )


def unknown_model(provider: str, reference: str, names: list[str]) -> TargetError:
    """Return the error for a name that a library does not have."""
    did = did_you_mean(reference, names, f"{provider}:{{}}")
    return TargetError(
        f"{provider} has no model '{reference}'",
        f"{did}'modelcli list {provider} \"*{reference[:4]}*\"' lists some",
    )


def read_json(path: Path) -> Any:
    """Return what a configuration's file holds.

    Raises:
        TargetError: it cannot be read, or is not JSON.
    """
    try:
        return parse_json(read_limited(path, TargetError).decode("utf-8"))
    except json.JSONDecodeError as error:
        raise TargetError(
            f"'{path}' is not JSON: {error.msg} at line {error.lineno}", "name a config.json"
        ) from error
    except (OSError, ValueError) as error:  # no UTF-8, a number of many digits, or too deep
        raise TargetError(
            f"'{path}' cannot be read: {describe(error)}", "name a config.json"
        ) from error

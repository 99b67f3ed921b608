"""Whose code a file is: the user's, modelcli's or torch's. Imports no torch."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_MODELS = _PACKAGE + "models" + os.sep


def in_package(file: str) -> bool:
    """Tell whether a file is in modelcli's folder, a reference model included."""
    return file.startswith(_PACKAGE)


def is_ours(file: str) -> bool:
    """Tell whether a file is modelcli's own; the reference models count as a user's."""
    return in_package(file) and not file.startswith(_MODELS)


def is_users(file: str) -> bool:
    """Tell whether a file is neither modelcli's own nor torch's."""
    return not is_ours(file) and not file.startswith(_torch_folder())


def user_frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
    """Yield the lines of a user's code in an exception's traceback, the innermost first."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if is_users(frame.filename) and frame.lineno:
            yield frame


@functools.cache
def _torch_folder() -> str:
    # By its place, not by its name: a user's own folder may be called torch.
    spec = find_spec("torch")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return places[0] + os.sep if places else os.devnull + os.sep

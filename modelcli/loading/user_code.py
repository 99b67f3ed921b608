"""Whose code a file is: the user's, modelcli's or torch's. Imports no torch."""

from __future__ import annotations

import functools
import os
import sys
import traceback
import types
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_MODELS = _PACKAGE + "models" + os.sep

_COMPREHENSIONS = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"))


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


def user_frame(libraries: frozenset[str] = frozenset()) -> types.FrameType | None:
    """Return the innermost running call of a user's code, but for these libraries'."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        is_library = _root(frame.f_globals.get("__name__")) in libraries
        if is_users(frame.f_code.co_filename) and not is_library:
            return frame
        frame = frame.f_back
    return None


def names_library(frame: types.FrameType, libraries: frozenset[str]) -> bool:
    """Tell whether the code of a call names a module, a function or a value of these libraries."""
    names = [*frame.f_code.co_names, *frame.f_code.co_freevars, *frame.f_code.co_varnames]
    held = (frame.f_locals.get(name, frame.f_globals.get(name)) for name in names)
    if any(_root(_home(value)) in libraries for value in held):
        return True
    outer = frame.f_back if frame.f_code.co_name in _COMPREHENSIONS else None
    return outer is not None and names_library(outer, libraries)


def _home(value: Any) -> Any:
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
        return getattr(value, "__module__", None)
    return type(value).__module__  # an array, a ufunc, a library that was loaded


def _root(name: Any) -> str:
    return name.partition(".")[0] if isinstance(name, str) else ""


@functools.cache
def _torch_folder() -> str:
    # By its place, not by its name: a user's own folder may be called torch.
    spec = find_spec("torch")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return places[0] + os.sep if places else os.devnull + os.sep

"""Which line of the user's code something comes from. Imports no torch."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import Place
from modelcli.loading.user_code import is_users, user_frames
from modelcli.modules import find_module

if TYPE_CHECKING:
    from torch import nn


def calling_place() -> Place | None:
    """Return the innermost line of the user's code on the stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.endswith("/checks/runner.py"):
            return None
        if is_users(code.co_filename):
            return place_at(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


def in_checkpoint() -> bool:
    """Tell whether the caller runs inside ``torch.utils.checkpoint``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "torch.utils.checkpoint":
            return True
        frame = frame.f_back
    return False


def raising_place(error: BaseException) -> Place | None:
    """Return the innermost line of the user's code in an exception's traceback."""
    for frame in user_frames(error):
        if frame.lineno:
            return place_at(frame.filename, frame.lineno)
    return None


def place_at(file: str, line: int) -> Place:
    """Return a place with its code."""
    return Place(file=file, line=line, code=linecache.getline(file, line).strip())


def assignment(owner: object, attribute: str) -> Place | None:
    """Return the line that sets ``self.attribute`` in the source of an object's class."""
    pattern = re.compile(
        rf"self\.{re.escape(attribute)}\b\s*(:[^=]*)?(\[[^\]]*\]\s*)?=(?!=)"
        rf"|(register_buffer|register_parameter|add_module|register_module)\(\s*"
        rf"[\"']{re.escape(attribute)}[\"']"
    )
    return _search(owner, pattern)


def place_of(model: nn.Module, path: str) -> Place | None:
    """Return the line that sets a module or parameter, looking from its owner upwards."""
    parts = path.split(".")
    for length in range(len(parts) - 1, -1, -1):
        try:
            owner = find_module(model, ".".join(parts[:length]))
        except KeyError:
            continue
        place = assignment(owner, parts[length])
        if place is not None:
            return place
    return None


def class_place(owner: object) -> Place | None:
    """Return the line on which an object's class begins, if it is a user's class."""
    for file, first, lines in _class_sources(owner):
        return Place(file=file, line=first, code=lines[0].strip())
    return None


def _search(owner: object, pattern: re.Pattern[str]) -> Place | None:
    for file, first, lines in _class_sources(owner):
        for offset, text in enumerate(lines):
            if pattern.search(text):
                return Place(file=file, line=first + offset, code=text.strip())
    return None


def _class_sources(owner: Any) -> Iterator[tuple[str, int, list[str]]]:
    for cls in type(owner).__mro__:
        if cls.__module__.startswith(("torch.", "builtins")):
            continue
        try:
            file = inspect.getsourcefile(cls)
            lines, first = inspect.getsourcelines(cls)
        except (OSError, TypeError):
            continue
        if file and lines:
            yield file, max(first, 1), lines

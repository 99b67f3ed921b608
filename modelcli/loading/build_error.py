"""What is told when a constructor raised: its words, the line, and what to do."""

from __future__ import annotations

import enum
import re
import traceback
from pathlib import Path

from modelcli.errors import ModelcliError, RunFailedError, UnavailableError, describe
from modelcli.loading.source import Source
from modelcli.loading.user_code import in_package, is_users, user_frames

_WEIGHTS = re.compile(r"pretrain|weights$")  # arguments that ask for some
# What torch says where a model asks for a GPU that is not here.
_NO_GPU = ("not compiled with CUDA", "No CUDA GPUs are available", "Found no NVIDIA driver")


def lacks_gpu(error: BaseException) -> bool:
    """Tell whether an exception says that there is no GPU here."""
    return any(words in str(error) for words in _NO_GPU)


def as_build_error(source: Source, cause: BaseException) -> ModelcliError:
    """Return the error of a constructor that raised; of another kind where a device lacks."""
    told = BuildError(source, cause)
    if lacks_gpu(cause):
        return UnavailableError(
            f"'{source.label}' asks for cuda, which is not available here: {describe(cause)}",
            told.hint or "build it without the device",
        )
    return told


class BuildError(RunFailedError):
    """The constructor raised."""

    def __init__(self, source: Source, cause: BaseException) -> None:
        line = user_line(cause, source)
        weights = _weights_asked_for(cause)
        missing_init = "cannot assign module before Module.__init__() call" in str(cause)
        given = ", ".join(f"{key}={value!r}" for key, value in source.kwargs.items())
        if missing_init or "super().__init__()" in str(cause):
            hint = "call super().__init__() first in its __init__"
        elif weights:
            name, off = weights
            hint = f"--set {name}={'None' if off is None else 'false'} builds it without weights"
        elif given:
            hint = f"do the arguments fit? {given}" + _tuple_of(source, cause)
            hint += f"; it stopped at {line}" if line else ""
        else:
            hint = f"look at {line}" if line else "does its constructor work in plain Python?"
        hint = "; ".join((hint, *source.remarks))
        super().__init__(f"building '{source.label}' failed: {describe(cause)}", hint)
        self.cause = cause

    def after(self, first: BuildError) -> BuildError:
        """Return this error with word that it comes from a second call of the constructor."""
        self.hint = (
            f"{self.hint}; this was its second call, the first stopped at {describe(first.cause)}"
        )
        return self


def lacks_file(error: BaseException | None) -> bool:
    """Tell whether an error is of a missing file or a failed download, or follows from one."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error is not None


def _weights_asked_for(cause: BaseException) -> tuple[str, bool | None] | None:
    """Return the argument that asked for weights that are not there, and what turns it off."""
    if not lacks_file(cause):
        return None
    for frame, _ in traceback.walk_tb(cause.__traceback__):
        code = frame.f_code
        if not is_users(code.co_filename):
            continue
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            value = frame.f_locals.get(name)
            if _WEIGHTS.search(name) and (value is True or isinstance(value, (str, enum.Enum))):
                return name, False if value is True else None
    return None


def _tuple_of(source: Source, cause: BaseException) -> str:
    """Return how a tuple is written, where a constructor that speaks of one got a list."""
    lists = [(key, value) for key, value in source.kwargs.items() if isinstance(value, list)]
    if not lists or "tuple" not in str(cause).lower():
        return ""
    key, value = lists[0]
    written = ",".join(str(item) for item in value) + ("," if len(value) == 1 else "")
    return f" (a tuple is --set '{key}=({written})')"


def user_line(error: BaseException, source: Source) -> str:
    """Return file, line and code of the user's own code where an exception arose, or ``""``."""
    frames = [f for f in user_frames(error) if not in_package(f.filename)]
    folder = source.folder
    if folder is not None:
        frames = [f for f in frames if Path(f.filename).is_relative_to(folder)] or frames
    if not frames:
        return ""
    return f"{Path(frames[0].filename).name}, line {frames[0].lineno}: {frames[0].line}"

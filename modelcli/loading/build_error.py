"""What is told when a constructor raised: its words, the line, and what to do."""

from __future__ import annotations

from pathlib import Path

from modelcli.errors import ModelcliError, RunFailedError, UnavailableError, describe
from modelcli.loading.source import Source
from modelcli.loading.user_code import in_package, user_frames

# What torch says where a model asks for a GPU that is not here.
_NO_GPU = ("not compiled with CUDA", "No CUDA GPUs are available", "Found no NVIDIA driver")


def as_build_error(source: Source, cause: BaseException) -> ModelcliError:
    """Return the error of a constructor that raised; of another kind where a device lacks."""
    told = BuildError(source, cause)
    if any(words in str(cause) for words in _NO_GPU):
        return UnavailableError(
            f"'{source.label}' asks for cuda, which is not available here: {describe(cause)}",
            told.hint or "build it without the device",
        )
    return told


class BuildError(RunFailedError):
    """The constructor raised."""

    def __init__(self, source: Source, cause: BaseException) -> None:
        line = user_line(cause, source)
        missing_init = "cannot assign module before Module.__init__() call" in str(cause)
        given = ", ".join(f"{key}={value!r}" for key, value in source.kwargs.items())
        if missing_init or "super().__init__()" in str(cause):
            hint = "call super().__init__() first in its __init__"
        elif given:
            hint = f"do the arguments fit? {given}" + (f"; it stopped at {line}" if line else "")
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


def user_line(error: BaseException, source: Source) -> str:
    """Return file, line and code of the user's own code where an exception arose, or ``""``."""
    frames = [f for f in user_frames(error) if not in_package(f.filename)]
    folder = source.folder
    if folder is not None:
        frames = [f for f in frames if Path(f.filename).is_relative_to(folder)] or frames
    if not frames:
        return ""
    return f"{Path(frames[0].filename).name}, line {frames[0].lineno}: {frames[0].line}"

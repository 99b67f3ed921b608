"""What can go wrong for a user, and the exit code that each kind of mistake ends with."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1  # it ran, and the answer is no: forward raised, loss not finite, files differ
    USAGE = 2  # the command line, a file or the configuration is wrong
    UNAVAILABLE = 3  # a device or an optional package is not here
    INTERRUPTED = 130  # 128 + SIGINT
    TERMINATED = 143  # 128 + SIGTERM


class ModelcliError(Exception):
    """A mistake that is the user's to fix, told in two lines.

    Args:
        message: what was wrong, with the offending value echoed.
        hint: what to do about it; may be empty where there is nothing to add.
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ModelcliError):
    """The command line or a value given on it is wrong (exit 2)."""


class ConfigError(ModelcliError):
    """A configuration file or a ``--set`` is wrong (exit 2)."""


class TargetError(ModelcliError):
    """The target does not lead to a model (exit 2)."""


class CheckpointError(ModelcliError):
    """A checkpoint file is damaged, unsafe or of an unknown kind (exit 2)."""


class RunFailedError(ModelcliError):
    """It ran and failed: the forward raised, the loss was not finite (exit 1)."""

    exit_code = ExitCode.FAILED


class UnavailableError(ModelcliError):
    """A device or an optional package is not available here (exit 3)."""

    exit_code = ExitCode.UNAVAILABLE


def suggest(name: str, candidates: list[str]) -> str | None:
    """Return the candidate closest to a mistyped name, or None when nothing is close."""
    import difflib

    lowered = {candidate.lower(): candidate for candidate in reversed(candidates)}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return ``"did you mean 'lenet'? "`` to begin a hint with, or ``""`` when nothing is close."""
    close = suggest(name, list(candidates))
    return f"did you mean '{close}'? " if close else ""


def describe(error: BaseException) -> str:
    """Return an exception's class and first line: ``ValueError: no such thing``."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

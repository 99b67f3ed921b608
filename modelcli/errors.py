"""What can go wrong for a user, and the exit code that each kind of mistake ends with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from modelcli.meanings import Kind, meanings


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1  # it ran, and the answer is no: forward raised, loss not finite, files differ
    USAGE = 2  # the command line, a file or the configuration is wrong
    UNAVAILABLE = 3  # a device or an optional package is not here
    HUNG_UP = 129  # 128 + SIGHUP
    INTERRUPTED = 130  # 128 + SIGINT
    TERMINATED = 143  # 128 + SIGTERM


class ModelcliError(Exception):
    """A mistake that is the user's to fix, told in two lines.

    Args:
        message: what was wrong, with the offending value echoed.
        hint: what to do about it; may be empty where there is nothing to add.
    """

    exit_code: ExitCode = ExitCode.USAGE
    mistakes: tuple[str, ...] = ()
    """Several that are told at once, a line each; they are in the message as well."""
    details: tuple[str, ...] = ()
    """What ``-v`` tells besides, a line each."""
    on_all_ranks: bool = False
    """Whether every process of a run has it, so that none fails alone."""

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


def did_you_mean(
    name: str,
    candidates: Iterable[str],
    form: str = "{}",
    *,
    kind: Kind = "name",
    otherwise: str = "",
) -> str:
    """Return ``"did you mean 'lenet'? "`` to begin a hint with; nothing close, nothing said.

    Args:
        name: what was typed.
        candidates: what it could have been.
        form: how a candidate is written, ``{}`` being its place: ``"optimizer.{}"``.
        kind: what the candidates are, for what people mean by a word.
        otherwise: the whole hint where nothing is close; with it the question stands alone.
    """
    asked = ask(*closest(name, candidates, kind=kind), form=form)
    return (asked.rstrip() or otherwise) if otherwise else asked


def ask(*names: str, form: str = "{}") -> str:
    """Return the question whether one of these names was meant, ``""`` for none."""
    if not names:
        return ""
    *first, last = [f"'{form.replace('{}', name)}'" for name in names]
    return f"did you mean {', '.join(first)} or {last}? " if first else f"did you mean {last}? "


def closest(name: str, candidates: Iterable[str], *, kind: Kind = "name") -> tuple[str, ...]:
    """Return what a name was meant for: by meaning, else by spelling, else as a part of it.

    A suggestion that is wrong is worse than none: what is spelled otherwise is not asked for.
    """
    known = _by_plain(candidates)
    plain = _plain(name)
    if plain in known:
        return (known[plain],)
    return _by_meaning(name, known, kind) or _by_spelling(plain, known) or _by_part(plain, known)


def ignoring_case(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that only case, ``-`` and ``_`` tell from a name, or None."""
    return _by_plain(candidates).get(_plain(name))


def _by_plain(candidates: Iterable[str]) -> dict[str, str]:
    return {_plain(candidate): candidate for candidate in reversed(list(candidates))}


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _by_meaning(name: str, known: Mapping[str, str], kind: Kind) -> tuple[str, ...]:
    """Look a word up; of a dotted key its last part, which must be the candidate's last part."""
    typed = name.lower().replace("_", "-")
    owner, _, last = typed.rpartition(".")
    found = []
    for words in meanings(kind).get(last if owner else typed, ()):
        first, _, rest = words.partition(" ")
        at = _plain(first)
        if at in known:
            found.append(f"{known[at]} {rest}".rstrip())
        elif owner:
            found += [each for key, each in known.items() if key.endswith(f".{at}")]
    return tuple(found[:3])


def _by_spelling(plain: str, known: Mapping[str, str]) -> tuple[str, ...]:
    """Find the candidate with the fewest mistakes: one in a short name, at most three in a long.

    A mistake in the first letter is a rare one, and must be the only one of a longer name.
    """
    import difflib

    if not 2 <= len(plain) <= 200:
        return ()
    allowed = 1 if len(plain) <= 7 else 2 if len(plain) <= 11 else 3
    near = difflib.get_close_matches(plain, known, n=5, cutoff=0.66)
    counted = [(_mistakes(plain, close), close) for close in near]
    for count, close in sorted(counted, key=lambda pair: pair[0]):
        likeness = difflib.SequenceMatcher(None, close, plain).ratio()
        if count <= allowed and (close[:1] == plain[:1] or likeness >= _SURE):
            return (known[close],)
    return ()


_SURE = 0.85  # the likeness at which even the first letter may be the mistake


def _mistakes(typed: str, meant: str) -> int:
    """Count letters left out, added, changed, or swapped with the next.

    Source: the optimal string alignment distance,
    https://en.wikipedia.org/wiki/Damerau-Levenshtein_distance
    """
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(typed, start=1):
        before, last = row, before
        row = [i]
        for j, other in enumerate(meant, start=1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == meant[j - 2] and other == typed[i - 2]:
                least = min(least, last[j - 2] + 1)
            row.append(least)
    return row[-1]


def _by_part(plain: str, known: Mapping[str, str]) -> tuple[str, ...]:
    """Find at most three candidates that begin with a name, or end in it after a dot."""
    if len(plain) < 3:
        return ()
    found = [each for key, each in known.items() if key.startswith(plain)]
    found = found or [each for key, each in known.items() if key.endswith(f".{plain}")]
    return tuple(reversed(found)) if len(found) <= 3 else ()


def describe(error: BaseException) -> str:
    """Return an exception's class and first line: ``ValueError: no such thing``."""
    lines = str(error).strip().splitlines()
    if lines and lines[0].startswith(_REFUSED_LOAD):  # what follows says how to load it unsafely
        return f"{type(error).__name__}: {_REFUSED_LOAD}"
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


_REFUSED_LOAD = "Weights only load failed"  # how torch.load begins

"""What a check leaves: findings, and which rules ran. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_TRAIN_STEPS = 200


class CannotRun(Exception):
    """A rule has no answer for this model; the text says why."""


class Severity(StrEnum):
    """How bad a finding is: errors end a check with 1, ``--strict`` counts warnings too."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """The worst first."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line of source code.

    Attributes:
        file: path as Python knows it.
        line: from 1.
        code: the line, stripped.
    """

    file: str
    line: int
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault that a rule saw.

    Attributes:
        rule: ``MC104``.
        title: the rule's title.
        path: of the module, parameter or attribute; ``""`` is the model itself.
        message: what was seen, with the numbers.
        why: what comes of it.
        fix: what to write instead.
        place: the source line, where it could be found.
    """

    rule: str
    title: str
    severity: Severity
    path: str
    message: str
    why: str
    fix: str
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that one check found.

    Attributes:
        findings: the worst first, then by rule.
        rules_run: ids of the rules that gave an answer.
        rules_skipped: the reason of every rule that could not run, faults included.
        faults: the reason of every rule that failed through a fault of its own.
        execution: how the model ran: ``meta``, ``fake`` or ``real``; ``""`` if it never did.
        values: whether the rules that need numbers had them.
    """

    findings: tuple[Finding, ...]
    rules_run: tuple[str, ...]
    rules_skipped: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    execution: str = ""
    values: bool = False

    def count(self, severity: Severity) -> int:
        """Return how many findings have a severity."""
        return sum(finding.severity is severity for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may ask of a check.

    Attributes:
        loss: the loss that the model is to be trained with, or None.
        object_size: pixels of what is to be seen (MC606), or None.
        train_steps: steps of the training rules; 0 leaves them out.
        allow_real: lift the limits on running for real.
        select: prefixes of the rules to run; none means all.
        ignore: prefixes of the rules to leave out.
    """

    loss: str | None = None
    object_size: int | None = None
    train_steps: int = 0
    allow_real: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Return what says the same on the command line: ``["--loss", "mse", "--train"]``."""
        words = []
        if self.loss is not None:
            words += ["--loss", self.loss]
        if self.object_size is not None:
            words += ["--object", str(self.object_size)]
        if self.train_steps == DEFAULT_TRAIN_STEPS:
            words.append("--train")
        elif self.train_steps:
            words += ["--train-steps", str(self.train_steps)]
        if self.allow_real:
            words.append("--allow-real")
        for flag, names in (("--select", self.select), ("--ignore", self.ignore)):
            if names:
                words += [flag, ",".join(names)]
        return words

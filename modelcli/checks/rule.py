"""The class that every rule is one of. Imports no torch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from modelcli.checks.record import Finding, Place, Severity

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context

# What a rule needs: to look at the module only, one pass without values, or values.
Needs = Literal["module", "pass", "values", "labels", "training"]


class CannotRun(Exception):
    """A rule has no answer for this model; the text says why."""


class Rule:
    """One rule.

    Attributes:
        id: ``MC`` and three digits; the first is the family.
        title: what is wrong, in a few words.
        severity: of its findings, unless one says otherwise.
        needs: what must be possible for it to run.
        why: what comes of the fault.
        fix: what to write instead.
        wrong: a module ``Net`` with the fault, as code; the page shows it and the tests run it.
        right: the same, mended.
        input: an ``--input`` that fits both.
        loss: the ``--loss`` that the example is about, if any.
        justified: why sound published models may have it, for the page; empty if none has.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity] = Severity.WARNING
    needs: ClassVar[Needs] = "module"
    why: ClassVar[str]
    fix: ClassVar[str]
    wrong: ClassVar[str]
    right: ClassVar[str]
    input: ClassVar[str]
    loss: ClassVar[str | None] = None
    justified: ClassVar[str] = ""

    def find(self, context: Context) -> Iterator[Finding]:
        """Yield what is wrong.

        Raises:
            CannotRun: there is no answer for this model.
        """
        raise NotImplementedError

    def found(
        self,
        path: str,
        message: str,
        *,
        fix: str | None = None,
        severity: Severity | None = None,
        place: Place | None = None,
    ) -> Finding:
        """Return a finding of this rule."""
        return Finding(
            rule=self.id,
            title=self.title,
            severity=severity or self.severity,
            path=path,
            message=message,
            why=self.why,
            fix=fix or self.fix,
            place=place,
        )


def example(code: str) -> str:
    """Return example code without the indentation that it has inside a class body."""
    return inspect.cleandoc(code) + "\n"

"""The base class of all rules. Imports no torch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from modelcli.checks.record import Finding, Options, Place, Severity

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context

# What the examples of all rules begin with; their pages leave it out.
IMPORTS = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n\n"

# What a rule needs: to look at the module only, one pass without values, or values.
Needs = Literal["module", "pass", "values", "labels", "training"]


class Rule:
    """One rule.

    Attributes:
        id: ``MC`` and three digits; the first is the family.
        title: what is wrong, in a few words.
        severity: of its findings, unless one says otherwise.
        needs: what must be possible for it to run.
        why: what comes of the fault.
        fix: what to write instead.
        wrong: a module ``Net`` with the fault, as code below ``IMPORTS``. The rule's page shows it
            with ``example_command``, and a test runs exactly that.
        right: the same without the fault.
        input: an ``--input`` that fits both.
        options: what the rule needs to be asked for, such as ``Options(object_size=32)``.
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
    options: ClassVar[Options] = Options()
    justified: ClassVar[str] = ""

    def find(self, context: Context) -> Iterator[Finding]:
        """Yield what is wrong.

        Raises:
            CannotRun: there is no answer for this model.
        """
        raise NotImplementedError(f"{type(self).__name__} has no find()")

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


def example_command(rule: type[Rule]) -> str:
    """Return the command that tells a rule's wrong example from the right one, in ``net.py``."""
    words = ["modelcli", "check", "net.py:Net", "--input", rule.input, *rule.options.words()]
    return " ".join(words)


def example(code: str) -> str:
    """Return example code without the indentation that it has inside a class body."""
    return inspect.cleandoc(code) + "\n"

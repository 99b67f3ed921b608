"""``modelcli.check``: what is wrong with a model that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import given_inputs, source_for
from modelcli.checks.catalogue import all_rules
from modelcli.checks.record import Finding, Options, Report, Severity
from modelcli.checks.runner import run_checks
from modelcli.checks.settings import check_names
from modelcli.loading.example import ExampleInputs
from modelcli.loading.types import InputRequest
from modelcli.losses import find_loss
from modelcli.views.check import check_body, describe, findings_table
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Checked(Shown):
    """What a check found.

    Attributes:
        report: the findings, and which rules ran or did not.
    """

    report: Report

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, the worst first."""
        return self.report.findings

    @property
    def passed(self) -> bool:
        """Whether there is no finding of severity error."""
        return self.report.count(Severity.ERROR) == 0

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli check --format json`` writes."""
        return check_body(self.report)

    def tables(self) -> tuple[Table, ...]:
        """Return the table of the command."""
        return (findings_table(self.report),)

    def caption(self) -> str:
        """Return how many findings there are."""
        return describe(self.report)

    def __repr__(self) -> str:
        return Shown.__repr__(self) if self.findings else describe(self.report)


def check(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    loss: str | None = None,
    object_size: int | None = None,
    train_steps: int = 0,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    allow_real: bool = False,
) -> Checked:
    """Look for the faults that neither an exception nor ``print(model)`` shows.

    Args:
        model: a module, which is copied, or a target as on the command line.
        inputs: as `summary` takes them; of tensors only the shapes and types are used.
        loss: what the model is to be trained with, as ``"cross_entropy"``.
        object_size: pixels of what is to be recognised.
        train_steps: also try to overfit one batch in so many steps; 0 does not.
        select: rules to run, as ``["MC101", "MC4"]``; none means all.
        ignore: rules to leave out.
        allow_real: run for real, if it must be, whatever memory that takes.

    Raises:
        UsageError: the inputs do not fit, or there is no such rule or loss.
    """
    source = source_for(model)
    check_names((*select, *ignore), [rule.id for rule in all_rules()])
    request = InputRequest()
    if inputs is not None:
        request = sizes_of(given_inputs(inputs, {}, source))
    options = Options(
        loss=find_loss(loss).name if loss is not None else None,
        object_size=object_size,
        train_steps=train_steps,
        allow_real=allow_real,
        select=tuple(select),
        ignore=tuple(ignore),
    )
    return Checked(report=run_checks(source, request, options))


def sizes_of(given: ExampleInputs) -> InputRequest:
    """Return the shapes and types of what was given, which is all that a check uses of it."""
    return InputRequest(specs=tuple(record.spec() for record in given.records))

"""Running the rules on one model."""

from __future__ import annotations

from collections.abc import Sequence

from modelcli.checks.catalogue import all_rules
from modelcli.checks.faults import fault_of
from modelcli.checks.observe.context import Context
from modelcli.checks.record import CannotRun, Finding, Options, Report
from modelcli.checks.rule import Rule
from modelcli.checks.settings import is_chosen
from modelcli.errors import ModelcliError, RunFailedError, describe
from modelcli.isolation import isolated, one_thread
from modelcli.loading.bodies import uncompiled_bodies
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest


def run_checks(
    source: Source, request: InputRequest | None = None, options: Options | None = None
) -> Report:
    """Check one model.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        options: which rules, and what they need to know.

    Returns:
        What was found. A model that does not build or run is a finding, no exception.

    Raises:
        UsageError: the inputs do not fit, or there is no such rule.
    """
    options = options or Options()
    context = Context(source, request or InputRequest(), options)
    chosen = [rule for rule in all_rules() if is_chosen(rule.id, options.select, options.ignore)]
    plain = uncompiled_bodies(as_python=True)
    with isolated(source.folder), one_thread(context.is_light), plain:
        return _run(context, chosen)


def _run(context: Context, chosen: Sequence[type[Rule]]) -> Report:
    findings: list[Finding] = []
    ran: list[str] = []
    skipped: dict[str, str] = {}
    faults: dict[str, str] = {}
    for rule in chosen:
        reason = _not_wanted(rule, context)
        if reason:
            skipped[rule.id] = reason
            continue
        try:
            for finding in rule().find(context):
                findings.append(_checked(finding))
            ran.append(rule.id)
        except CannotRun as stop:
            skipped[rule.id] = str(stop)
        except RunFailedError as error:
            skipped[rule.id] = error.message
        except (ModelcliError, MemoryError):
            raise
        except Exception as error:  # one rule must not take the others with it
            fault = fault_of(rule, error)
            skipped[rule.id] = fault or f"the rule could not look: {describe(error)}"
            if fault:
                faults[rule.id] = fault
    findings.sort(key=lambda finding: (finding.severity.rank, finding.rule))
    return Report(
        findings=tuple(findings),
        rules_run=tuple(ran),
        rules_skipped=skipped,
        faults=faults,
        execution=_execution(context),
        values=_had_values(context),
    )


def _checked(finding: object) -> Finding:
    if not isinstance(finding, Finding):
        raise TypeError(f"a rule yields findings, not {type(finding).__name__}")
    return finding


def _not_wanted(rule: type[Rule], context: Context) -> str:
    if rule.needs == "training" and not context.options.train_steps:
        return "needs training; --train runs it"
    return ""


def _execution(context: Context) -> str:
    try:
        return context.ran.execution
    except CannotRun:
        return ""
    except RunFailedError:
        return ""


def _had_values(context: Context) -> bool:
    try:
        return context.values_allowed
    except (CannotRun, RunFailedError):
        return False

"""``modelcli check``: the faults that neither an exception nor ``print(model)`` shows."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from modelcli.checks.record import DEFAULT_TRAIN_STEPS
from modelcli.cli._check_options import (
    CheckFormat,
    CheckFormatOption,
    ExplainOption,
    IgnoreOption,
    LossOption,
    ObjectOption,
    RulesFlag,
    SelectOption,
    StrictFlag,
    TrainFlag,
    TrainStepsOption,
)
from modelcli.cli._options import (
    AllowRealOption,
    BatchSizeOption,
    InputFromOption,
    InputOption,
    KwargOption,
    QuietOption,
    SetOption,
    TargetOrNone,
    VerboseOption,
)
from modelcli.cli._output import Format, Output
from modelcli.cli._target import note_remarks, read_arguments
from modelcli.cli._terminal import is_terminal
from modelcli.errors import ExitCode, UsageError
from modelcli.losses import find_loss

if TYPE_CHECKING:
    from modelcli.checks.record import Report

EXAMPLES = (
    "modelcli check net.py:Net --input 1x3x224x224",
    "modelcli check sequential-list",
    "modelcli check lenet --loss cross_entropy --strict",
    "modelcli check torchvision:resnet50 --ignore MC6 --format github",
    "modelcli check --explain MC401",
)


def command(
    target: TargetOrNone = None,
    input: InputOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchSizeOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    loss: LossOption = None,
    object_size: ObjectOption = None,
    train: TrainFlag = False,
    train_steps: TrainStepsOption = None,
    select: SelectOption = None,
    ignore: IgnoreOption = None,
    strict: StrictFlag = False,
    rules: RulesFlag = False,
    explain: ExplainOption = None,
    allow_real: AllowRealOption = False,
    format: CheckFormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Name what is wrong with a model that runs, and how to fix it.

    Exits 0 without errors, 1 with any. [tool.modelcli.check] of pyproject.toml may hold select
    and ignore.
    """
    shown = format or CheckFormat.TABLE
    plain = Format.TABLE if shown is CheckFormat.GITHUB else Format(shown.value)
    out = Output("check", target=target, format=plain, quiet=quiet, verbose=verbose)
    if rules or explain is not None:
        _show_rules(out, explain)
        return
    if target is None:
        raise UsageError(
            "no model was given", "name one: modelcli check net.py:Net; --rules lists the rules"
        )
    from modelcli.checks.record import Options

    if object_size is not None and object_size < 1:
        raise UsageError(f"--object {object_size} is no size", "give pixels, 1 or more")
    selected, ignored = _choose(select, ignore)
    arguments = read_arguments(
        target,
        inputs=input,
        batch_size=batch_size,
        kwargs=kwarg,
        settings=set_,
        factory=input_from,
    )
    options = Options(
        loss=find_loss(loss).name if loss is not None else None,
        object_size=object_size,
        train_steps=(train_steps or DEFAULT_TRAIN_STEPS) if train or train_steps else 0,
        allow_real=allow_real,
        select=selected,
        ignore=ignored,
    )

    from modelcli.checks.runner import run_checks
    from modelcli.loading.find import find_source

    source = find_source(arguments.target, arguments.model_kwargs)
    report = run_checks(source, arguments.request, options)
    note_remarks(out, source.remarks)
    _write(out, report, shown)
    _judge(report, strict=strict)


def _choose(
    select: Sequence[str] | None, ignore: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what runs: flags before the table of pyproject.toml, each for itself."""
    from modelcli.checks.catalogue import all_rules
    from modelcli.checks.settings import check_names, read_pyproject, split_names

    table = read_pyproject(Path.cwd())
    selected = split_names(select) or table.select
    ignored = split_names(ignore) or table.ignore
    check_names((*selected, *ignored), [rule.id for rule in all_rules()])
    return selected, ignored


def _show_rules(out: Output, explain: str | None) -> None:
    from modelcli.checks.catalogue import all_rules, get_rule
    from modelcli.views.check_rules import rule_page, rules_body, rules_table

    if explain is None:
        found = all_rules()
        out.result(rules_body(found), rules_table(found))
        return
    rule = get_rule(explain)
    if out.format is Format.JSON:
        out.result({**rules_body([rule])["rules"][0], "wrong": rule.wrong, "right": rule.right})
    else:
        out.text(rule_page(rule).rstrip())


def _write(out: Output, report: Report, shown: CheckFormat) -> None:
    from modelcli.views import check as view
    from modelcli.views.check_github import github_lines

    if shown is CheckFormat.GITHUB:
        lines = github_lines(report)
        if lines:
            out.text("\n".join(lines))
    elif shown is CheckFormat.TABLE and is_terminal(sys.stdout):
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        colour = "NO_COLOR" not in os.environ
        out.text("\n".join(view.finding_lines(report, width=width, colour=colour)))
    elif shown is CheckFormat.TABLE and not report.findings:
        out.text(view.describe(report))
    else:
        body = view.check_body(report) if out.format is Format.JSON else {}
        out.result(body, view.findings_table(report))
    for line in view.fault_lines(report):
        out.note(line)
    for line in view.skipped_lines(report):
        out.detail(line)


def _judge(report: Report, *, strict: bool) -> None:
    """Exit 1 for errors, and for warnings if strict."""
    from modelcli.checks.record import Severity

    failed = report.count(Severity.ERROR) or (strict and report.count(Severity.WARNING))
    if failed:
        raise typer.Exit(int(ExitCode.FAILED))

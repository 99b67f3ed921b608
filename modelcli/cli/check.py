"""``modelcli check``: the faults that neither an exception nor ``print(model)`` shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from modelcli.checks.record import DEFAULT_TRAIN_STEPS
from modelcli.cli._check_options import (
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
from modelcli.cli._check_show import show_report, show_rules
from modelcli.cli._format import CheckFormatOption
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
from modelcli.cli._output import Output
from modelcli.cli._target import note_remarks, read_arguments
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
    out = Output("check", target=target, format=format, quiet=quiet, verbose=verbose)
    if rules or explain is not None:
        show_rules(out, explain)
        return
    if target is None:
        raise UsageError(
            "no model was given", "name one: modelcli check net.py:Net; --rules lists the rules"
        )
    from modelcli.checks.record import Options
    from modelcli.checks.settings import choose_rules

    if object_size is not None and object_size < 1:
        raise UsageError(f"--object {object_size} is no size", "give pixels, 1 or more")
    chosen = choose_rules(select, ignore, Path.cwd())
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
        select=chosen.select,
        ignore=chosen.ignore,
    )

    from modelcli.checks.runner import run_checks
    from modelcli.loading.find import find_source

    source = find_source(arguments.target, arguments.model_kwargs)
    report = run_checks(source, arguments.request, options)
    note_remarks(out, source.remarks)
    show_report(out, report)
    _judge(report, strict=strict)


def _judge(report: Report, *, strict: bool) -> None:
    """Exit 1 for errors, and for warnings if strict."""
    from modelcli.checks.record import Severity

    failed = report.count(Severity.ERROR) or (strict and report.count(Severity.WARNING))
    if failed:
        raise typer.Exit(int(ExitCode.FAILED))

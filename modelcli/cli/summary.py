"""``modelcli summary``: the structure of a model, with true sizes and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcli.cli._format import Format, FormatOption
from modelcli.cli._options import (
    AllowRealOption,
    BatchSizeOption,
    ExecutionOption,
    InputFromOption,
    InputOption,
    KwargOption,
    ModeOption,
    QuietOption,
    SetOption,
    TargetArgument,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._summary_options import (
    BackwardFlag,
    DepthOption,
    StrictFlag,
    Style,
    StyleOption,
)
from modelcli.cli._target import note_remarks, read_arguments
from modelcli.errors import RunFailedError, UsageError

if TYPE_CHECKING:
    from modelcli.loading.source import Source
    from modelcli.tracing.record import Trace

EXAMPLES = (
    "modelcli summary lenet",
    "modelcli summary mlp --set hidden_features=512 --batch-size 64",
    "modelcli summary net.py:Net --input 1x3x224x224",
    "modelcli summary parallel --style torch",
    "modelcli summary lenet --backward --format json",
)


def command(
    target: TargetArgument,
    input: InputOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchSizeOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    depth: DepthOption = None,
    backward: BackwardFlag = False,
    mode: ModeOption = None,
    strict: StrictFlag = False,
    style: StyleOption = None,
    execution: ExecutionOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show what runs: shapes, parameters and MACs of every layer."""
    out = Output("summary", target=target, format=format, quiet=quiet, verbose=verbose)
    if depth is not None and depth < 0:
        raise UsageError(f"--depth {depth} is not possible", "give 0 for all levels, or 1 and more")
    if style not in (None, Style.MODELCLI) and out.format is not Format.TABLE:
        raise UsageError(
            f"--style {style} is text and has no --format {out.format}", "leave one of the two out"
        )
    arguments = read_arguments(
        target,
        inputs=input,
        batch_size=batch_size,
        kwargs=kwarg,
        settings=set_,
        factory=input_from,
    )

    from modelcli.loading.find import find_source
    from modelcli.observe import observe

    source = find_source(arguments.target, arguments.model_kwargs)
    if style is Style.TORCH:
        _print_torch(out, source)
        return
    trace = observe(
        source,
        arguments.request,
        mode=mode or "eval",
        backward=backward,
        execution=execution,
        allow_real=allow_real,
    )
    note_remarks(out, source.remarks)
    for attempt in trace.attempts:
        failed = "" if attempt.stage == "note" else f"{attempt.stage} failed: "
        out.detail(f"{attempt.execution}: {failed}{attempt.reason}")
    if style is Style.TORCHINFO:
        _print_torchinfo(out, source, trace)
    else:
        _print_ours(out, trace, depth=depth)
    _judge(trace, strict=strict)


def _print_ours(out: Output, trace: Trace, *, depth: int | None) -> None:
    from modelcli.views.summary import DEFAULT_DEPTH, summary_body, summary_table

    levels = DEFAULT_DEPTH if depth is None else depth or None
    body = summary_body(trace, depth=levels) if out.format is Format.JSON else {}
    out.result(body, summary_table(trace, depth=levels, plumbing=out.verbose))


def _print_torch(out: Output, source: Source) -> None:
    from modelcli.loading.build import build_first

    out.text(repr(build_first(source)[0]))


def _print_torchinfo(out: Output, source: Source, trace: Trace) -> None:
    from modelcli.loading.torchinfo import describe_with_torchinfo
    from modelcli.views.text import show_count

    table, params, macs = describe_with_torchinfo(source, trace.inputs, trace.mode)
    out.text(table)
    totals = trace.totals
    if (params, macs) != (totals.params, totals.macs):
        out.text(
            f"torchinfo counts {show_count(params)} parameters and {show_count(macs)} MACs; true "
            f"are {show_count(totals.params)} parameters and {show_count(totals.macs)} MACs."
        )


def _judge(trace: Trace, *, strict: bool) -> None:
    """Raise where the forward failed or, if strict, an operation was not counted."""
    from modelcli.views.failure import describe_failure

    if trace.failure is not None:
        raise RunFailedError(*describe_failure(trace))
    if strict and not trace.coverage.complete:
        names = ", ".join(trace.coverage.uncounted)
        raise RunFailedError(f"not every operation was counted: {names}", "the totals are too low")

"""``modelcli summary``: the structure of a model, with true sizes and costs."""

from __future__ import annotations

from dataclasses import replace

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
from modelcli.cli._summary_expect import (
    check_errors,
    check_expectations,
    hold_against,
    plan_peak,
)
from modelcli.cli._summary_options import (
    BackwardFlag,
    ColumnsOption,
    CountOption,
    DepthOption,
    ExpectOption,
    FoldFlag,
    MethodOption,
    SortOption,
    StrictFlag,
    Style,
    StyleOption,
    TopOption,
    UpdateFlag,
)
from modelcli.cli._summary_show import (
    judge,
    make_cut,
    print_summary,
    print_torch,
    print_torchinfo,
)
from modelcli.cli._target import note_remarks, read_arguments
from modelcli.errors import UsageError

EXAMPLES = (
    "modelcli summary lenet",
    "modelcli summary mlp --set hidden_features=512 --batch-size 64",
    "modelcli summary net.py:Net --input 1x3x224x224",
    "modelcli summary timm:vit_base_patch16_224 --fold",
    "modelcli summary lenet --columns kernel,params,macs,macs_share --sort macs --top 3",
    "modelcli summary lenet --count all",
    "modelcli summary lenet --expect expect.toml --update",
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
    columns: ColumnsOption = None,
    sort: SortOption = None,
    top: TopOption = None,
    fold: FoldFlag = False,
    count: CountOption = None,
    backward: BackwardFlag = False,
    method: MethodOption = None,
    mode: ModeOption = None,
    strict: StrictFlag = False,
    expect: ExpectOption = None,
    update: UpdateFlag = False,
    style: StyleOption = None,
    execution: ExecutionOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show what runs: shapes, parameters and MACs of every layer."""
    out = Output("summary", target=target, format=format, quiet=quiet, verbose=verbose)
    if style not in (None, Style.MODELCLI) and out.format is not Format.TABLE:
        raise UsageError(
            f"--style {style} is text and has no --format {out.format}", "leave one of the two out"
        )
    place = check_expectations(expect, target, update=update, style=style)
    cut = make_cut(depth, columns, sort, top, fold=fold, verbose=out.verbose)
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
    from modelcli.tracing.counting import counting

    source = find_source(arguments.target, arguments.model_kwargs)
    source = replace(source, method=method or source.method)
    if style is Style.TORCH:
        print_torch(out, source)
        return
    with counting(count or "contractions"):
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
        out.detail(attempt.told)
    if style is Style.TORCHINFO:
        print_torchinfo(out, source, trace)
    elif place is None or trace.failure is not None:
        print_summary(out, trace, cut)
    judge(trace, strict=strict)
    if place is not None:
        request = arguments.request
        hold_against(
            out,
            place,
            trace,
            cut,
            count_errors=lambda: check_errors(source, request),
            plan_peak=lambda: plan_peak(source, request),
        )

"""``modelcli time``: how fast a model is, and where the time goes."""

from __future__ import annotations

from modelcli.cli._format import Format, FormatOption
from modelcli.cli._options import (
    AllowRealOption,
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
from modelcli.cli._target import note_remarks, read_arguments
from modelcli.cli._time_options import (
    AmpOption,
    BatchSizesOption,
    ByOption,
    DtypeOption,
    EngineOption,
    LevelOption,
    RunsOption,
    ThreadsOption,
    TimeDeviceOption,
    WarmUpOption,
)
from modelcli.errors import UsageError
from modelcli.timing.options import make_options

EXAMPLES = (
    "modelcli time lenet",
    "modelcli time lenet --batch-size 1,8,64 --runs 20 --threads 1",
    "modelcli time lenet --by layer --runs 20",
    "modelcli time mlp --runs 20 --format json",
)


def command(
    target: TargetArgument,
    input: InputOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchSizesOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    device: TimeDeviceOption = None,
    dtype: DtypeOption = None,
    amp: AmpOption = None,
    mode: ModeOption = None,
    engine: EngineOption = None,
    threads: ThreadsOption = None,
    runs: RunsOption = None,
    warmup: WarmUpOption = None,
    by: ByOption = None,
    depth: LevelOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Time a model, set beside what the machine can do."""
    out = Output("time", target=target, format=format, quiet=quiet, verbose=verbose)
    if depth is not None and (depth < 0 or by != "layer"):
        reason = "goes with --by layer" if by != "layer" else "is not possible"
        raise UsageError(f"--depth {depth} {reason}", "as --by layer --depth 2; 0 shows all")
    options = make_options(
        batch_size=batch_size,
        device=device,
        dtype=dtype,
        amp=amp,
        mode=mode or "eval",
        engine=engine,
        threads=threads,
        runs=runs,
        warmup=warmup,
        by=by,
        allow_real=allow_real,
    )
    arguments = read_arguments(
        target, inputs=input, kwargs=kwarg, settings=set_, factory=input_from
    )

    from modelcli.loading.find import find_source
    from modelcli.timing.measure import time_model
    from modelcli.views.time import time_body, time_tables

    source = find_source(arguments.target, arguments.model_kwargs)
    note_remarks(out, source.remarks)
    record = time_model(source, arguments.request, options)
    levels = depth or None
    body = time_body(record, depth=levels) if out.format is Format.JSON else {}
    out.result(body, *time_tables(record, depth=levels))

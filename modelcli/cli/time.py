"""``modelcli time``: how fast a model is, and where the time goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelcli.cli._format import Format, FormatOption
from modelcli.cli._options import (
    AllowRealOption,
    ForceOption,
    InputFromOption,
    InputOption,
    KwargOption,
    QuietOption,
    SetOption,
    TargetArgument,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._target import find_model, read_arguments
from modelcli.cli._time_options import (
    AmpOption,
    BatchSizesOption,
    ByOption,
    DtypeOption,
    EngineOption,
    LevelOption,
    OptimizerOption,
    PictureOption,
    RunsOption,
    ThreadsOption,
    TimeDeviceOption,
    TimeModeOption,
    TraceOption,
    WarmUpOption,
    check_depth,
)
from modelcli.timing.options import make_options

if TYPE_CHECKING:
    from modelcli.timing.record import TimeRecord

EXAMPLES = (
    "modelcli time lenet",
    "modelcli time lenet --batch-size 1,8,64 --runs 20 --threads 1",
    "modelcli time lenet --by layer --runs 20",
    "modelcli time lenet --mode train --batch-size 8 --runs 20",
    "modelcli time mlp --runs 20 -o mlp.svg --trace mlp.json",
)


def command(
    target: TargetArgument,
    input: InputOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchSizesOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    mode: TimeModeOption = None,
    optimizer: OptimizerOption = None,
    device: TimeDeviceOption = None,
    dtype: DtypeOption = None,
    amp: AmpOption = None,
    engine: EngineOption = None,
    threads: ThreadsOption = None,
    runs: RunsOption = None,
    warmup: WarmUpOption = None,
    by: ByOption = None,
    depth: LevelOption = None,
    picture: PictureOption = None,
    trace: TraceOption = None,
    force: ForceOption = False,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Time a model, set beside what the machine can do."""
    out = Output("time", target=target, format=format, quiet=quiet, verbose=verbose)
    check_depth(depth, by, picture)
    options = make_options(
        batch_size=batch_size,
        mode=mode or "eval",
        optimizer=optimizer,
        device=device,
        dtype=dtype,
        amp=amp,
        engine=engine,
        threads=threads,
        runs=runs,
        warmup=warmup,
        by=by or ("layer" if picture else None),
        profile=trace is not None,
        allow_real=allow_real,
    )
    arguments = read_arguments(
        target, inputs=input, kwargs=kwarg, settings=set_, factory=input_from
    )
    files = (Path(picture) if picture else None, Path(trace) if trace else None)
    if any(files):
        from modelcli.views.time_files import check_files

        check_files(*files, force=force)

    from modelcli.timing.measure import time_model
    from modelcli.views.time import time_body, time_tables

    source = find_model(out, arguments)
    record = time_model(source, arguments.request, options, tell=out.detail)
    levels = depth or None
    body = time_body(record, depth=levels) if out.format is Format.JSON else {}
    out.result(body, *time_tables(record, depth=levels))
    _write(out, record, *files, depth=levels, force=force)


def _write(
    out: Output,
    record: TimeRecord,
    picture: Path | None,
    trace: Path | None,
    *,
    depth: int | None,
    force: bool,
) -> None:
    from modelcli.views.time_files import save_time, save_trace

    if picture is not None:
        title = f"Where the time of {out.target} goes"
        save_time(record, picture, title=title, depth=depth, force=force)
        out.note(f"drawn in {picture}")
    if trace is not None:
        save_trace(record, trace, force=force)
        out.note(f"wrote {trace}: open it in https://ui.perfetto.dev")

"""``modelcli compare``: one row a model, of a few or of a whole library."""

from __future__ import annotations

from modelcli.cli._compare_options import (
    AxesOption,
    ColumnsOption,
    FilesOption,
    ForceFlag,
    JobsOption,
    LimitOption,
    PeakFlag,
    SortOption,
    TargetsArgument,
    TimeFlag,
    TopOption,
    WhereOption,
)
from modelcli.cli._format import CompareFormatOption
from modelcli.cli._options import (
    AllowRealOption,
    BatchSizeOption,
    InputOption,
    KwargOption,
    ModeOption,
    QuietOption,
    SetOption,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._tensor_options import DeviceOption

EXAMPLES = (
    "modelcli compare lenet alexnet mlp",
    "modelcli compare '*-dense' --sort macs:asc --columns params,macs",
    "modelcli compare 'torchvision:resnet1*' --where 'params < 30M' -o resnets.json -o resnets.svg",
    "modelcli compare resnets.json --where 'macs < 2G' --top 5",
    "modelcli compare before.json after.json",
)


def command(
    targets: TargetsArgument,
    input: InputOption = None,
    batch_size: BatchSizeOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    mode: ModeOption = None,
    where: WhereOption = None,
    sort: SortOption = None,
    columns: ColumnsOption = None,
    top: TopOption = None,
    limit: LimitOption = None,
    jobs: JobsOption = None,
    peak: PeakFlag = False,
    time: TimeFlag = False,
    device: DeviceOption = None,
    files: FilesOption = None,
    axes: AxesOption = None,
    force: ForceFlag = False,
    allow_real: AllowRealOption = False,
    format: CompareFormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Compare models: sizes and costs, one row each."""
    from modelcli.cli._compare_measure import Wanted
    from modelcli.cli._compare_run import compare
    from modelcli.comparing.options import MeasureOptions

    out = Output("compare", target=" ".join(targets), format=format, quiet=quiet, verbose=verbose)
    wanted = Wanted(
        targets=tuple(targets), where=where, sort=sort, columns=columns, top=top, limit=limit,
        jobs=jobs or 1, files=tuple(files or ()), axes=axes, force=force,
        options=MeasureOptions(
            inputs=tuple(input or ()), batch_size=batch_size, kwargs=tuple(kwarg or ()),
            settings=tuple(set_ or ()), mode=mode or "eval", allow_real=allow_real,
            device=device or "cpu", peak=peak, time=time,
        ),
    )  # fmt: skip
    compare(out, wanted)

"""``modelcli graph``: what feeds what, as a picture or as rows."""

from __future__ import annotations

from pathlib import Path

from modelcli.cli._format import FormatOption
from modelcli.cli._graph_options import (
    AsOption,
    ColourOption,
    DirectionOption,
    GraphDepthOption,
    GraphFoldOption,
    OpenOption,
    OpsOption,
    OutOption,
    ThemeOption,
)
from modelcli.cli._graph_show import write_picture, write_rows
from modelcli.cli._options import (
    AllowRealOption,
    BatchSizeOption,
    ExecutionOption,
    ForceOption,
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
from modelcli.cli._summary_show import judge
from modelcli.cli._target import note_remarks, read_arguments
from modelcli.errors import UsageError
from modelcli.graphs.choices import Choices
from modelcli.views.graph_files import Style, check_file

EXAMPLES = (
    "modelcli graph lenet -o lenet.svg",
    "modelcli graph torchvision:resnet50 -o resnet50.png --theme dark",
    "modelcli graph timm:vit_base_patch16_224 -o vit.svg --colour macs --open all",
    "modelcli graph net.py:Net --as mermaid",
    "modelcli graph lenet --format json",
)


def command(
    target: TargetArgument,
    out_file: OutOption = None,
    as_: AsOption = None,
    open_: OpenOption = None,
    depth: GraphDepthOption = None,
    fold: GraphFoldOption = True,
    ops: OpsOption = None,
    direction: DirectionOption = None,
    colour: ColourOption = None,
    theme: ThemeOption = None,
    force: ForceOption = False,
    input: InputOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchSizeOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    mode: ModeOption = None,
    execution: ExecutionOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw what feeds what: layers, functions, residuals."""
    out = Output("graph", target=target, format=format, quiet=quiet, verbose=verbose)
    path = None if out_file is None else Path(out_file)
    if depth is not None and depth < 0:
        raise UsageError(f"--depth {depth} is not possible", "give 0 for all levels, or 1 and more")
    form = check_file(path, as_, force=force)
    if form is not None and format is not None:
        raise UsageError(
            f"--format {format} writes rows, and {'-o' if path else '--as'} a picture",
            "leave one of the two out",
        )
    if form == "png" and path is None:
        out.refuse_terminal("png")
    choices = Choices(
        open=open_ or "once",
        depth=depth or None,
        fold=fold,
        operations=ops or "main",
        direction=direction or "down",
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
    trace = observe(
        source,
        arguments.request,
        mode=mode or "eval",
        execution=execution,
        allow_real=allow_real,
    )
    note_remarks(out, source.remarks)
    if form is None:
        write_rows(out, trace, choices)
    else:
        style = Style(theme=theme or "auto", colour=colour or "kind")
        write_picture(out, trace, form, path, choices, style)
    judge(trace, strict=False)

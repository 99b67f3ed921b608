"""``modelcli report``: everything there is to see of a model, in one page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from modelcli.cli._format import FormatOption
from modelcli.cli._options import (
    AllowRealOption,
    BatchSizeOption,
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
from modelcli.cli._report_options import FileOption, NoCheckFlag, RunOption, TitleOption
from modelcli.cli._target import ModelArguments, find_model, read_arguments
from modelcli.errors import RunFailedError

if TYPE_CHECKING:
    from modelcli.views.report.content import Content

EXAMPLES = (
    "modelcli report lenet",
    "modelcli report torchvision:resnet50 -o resnet50.html",
    "modelcli report net.py:Net --input 1x3x224x224 --no-check",
    "modelcli report lenet --run runs/a --run runs/b --title 'Two learning rates'",
    "modelcli report runs/a",
)


def command(
    target: TargetArgument,
    out_file: FileOption = None,
    run: RunOption = None,
    no_check: NoCheckFlag = False,
    title: TitleOption = None,
    input: InputOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchSizeOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    mode: ModeOption = None,
    allow_real: AllowRealOption = False,
    force: ForceOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write one page that shows a model: layers, costs, faults, runs.

    The page is a single file that loads nothing: open it in a browser, send it, print it.
    """
    from modelcli.views.pictures.saving import check_place, file_name
    from modelcli.views.report.content import read_runs

    out = Output("report", target=target, format=format, quiet=quiet, verbose=verbose)
    arguments = read_arguments(
        target,
        inputs=input,
        batch_size=batch_size,
        kwargs=kwarg,
        settings=set_,
        factory=input_from,
    )
    path = Path(out_file or file_name(target, ".html"))
    check_place(path, (".html",), option="--out", force=force, command="report")
    training = read_runs([*_own_run(arguments), *(run or ())])

    from modelcli.api.pages import look

    source = find_model(out, arguments)
    content = look(
        source, arguments.request, target=arguments.target.text, title=title or "",
        training=training, checked=not no_check, mode=mode or "eval", allow_real=allow_real,
    )  # fmt: skip
    _write(out, content, path)
    if content.trace.failure is not None:
        from modelcli.views.failure import describe_failure

        raise RunFailedError(*describe_failure(content.trace))


def _own_run(arguments: ModelArguments) -> list[str]:
    """Return the target itself where it is a run that has measured something."""
    from modelcli.training.store.metrics import CONFIG, METRICS

    folder = Path(arguments.target.text)
    is_run = Path(arguments.target.place) == folder / CONFIG and os.path.isfile(folder / METRICS)
    return [str(folder)] if is_run else []


def _write(out: Output, content: Content, path: Path) -> None:
    from modelcli.views.pictures.saving import save
    from modelcli.views.report.page import page_of
    from modelcli.views.report.rows import report_body, report_table

    data = page_of(content).encode()
    save(path, data, option="--out")
    out.result(report_body(content, path, len(data)), report_table(content, path, len(data)))

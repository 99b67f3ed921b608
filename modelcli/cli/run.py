"""``modelcli run``: a model on values, and what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcli.cli._format import Format, RunFormatOption
from modelcli.cli._options import (
    AllowRealOption,
    BatchSizeOption,
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
from modelcli.cli._run_options import (
    AccumulateOption,
    BackwardOption,
    ExplainOption,
    LayersOption,
    LossOption,
    PrintOption,
    StepOption,
    ValuesOption,
    WantedOption,
    WeightsOption,
)
from modelcli.cli._target import find_model, read_arguments
from modelcli.cli._tensor_options import DeviceOption, InitOption, SeedOption
from modelcli.initialise.rules import parse_init
from modelcli.running.options import RunOptions, make_options

if TYPE_CHECKING:
    from modelcli.running.record import RunRecord

EXAMPLES = (
    "modelcli run centered --values 1,2,3,4,5",
    "modelcli run lenet --layers",
    "modelcli run linear --values 1,2,3,4 --loss mse --target 0,0,0 --backward",
    "modelcli run linear --values 1,2,3,4 --target 0,0,0 --step sgd:lr=0.01",
    "modelcli run lenet --explain 'conv1[0,0,0,0]'",
    "modelcli run lenet --layers --format json",
)


def command(
    target: TargetArgument,
    values: ValuesOption = None,
    input: InputOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchSizeOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    weights: WeightsOption = None,
    init: InitOption = None,
    seed: SeedOption = None,
    mode: ModeOption = None,
    device: DeviceOption = None,
    layers: LayersOption = False,
    print_: PrintOption = None,
    explain: ExplainOption = None,
    loss: LossOption = None,
    wanted: WantedOption = None,
    backward: BackwardOption = False,
    accumulate: AccumulateOption = None,
    step: StepOption = None,
    allow_real: AllowRealOption = False,
    format: RunFormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run a model on values: its output, its layers, gradients, one step."""
    binary = format is Format.NPZ
    out = Output(
        "run",
        target=target,
        format=format,
        quiet=quiet,
        verbose=verbose,
    )
    if binary:
        out.refuse_terminal("npz")
    options = make_options(
        values=values,
        target=wanted,
        backward=backward,
        accumulate=accumulate,
        explain=explain,
        loss=loss,
        step=step,
        weights=weights,
        init=init if init is None or parse_init(init) else None,
        seed=seed or 0,
        mode=mode or "eval",
        device=device or "cpu",
        layers=layers,
        patterns=tuple(print_ or ()),
        keep_layers=binary and layers,
        allow_real=allow_real,
    )
    arguments = read_arguments(
        target,
        inputs=input,
        batch_size=batch_size,
        kwargs=kwarg,
        settings=set_,
        factory=input_from,
    )

    from modelcli.running.run import run_model

    source = find_model(out, arguments)
    record = run_model(source, arguments.request, options)
    if binary:
        out.binary(_npz(record))
    else:
        _write(out, record, options)


def _write(out: Output, record: RunRecord, options: RunOptions) -> None:
    from modelcli.views.run import run_body, run_tables

    if out.format is Format.JSON:
        out.result(run_body(record))
        return
    tables = run_tables(record)
    out.result({}, *(tables[-1:] if out.format is Format.TSV else tables))


def _npz(record: RunRecord) -> bytes:
    import io

    import numpy as np

    held = io.BytesIO()
    np.savez(held, allow_pickle=False, **record.arrays)
    return held.getvalue()

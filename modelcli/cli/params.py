"""``modelcli params``: what tensors a model or a checkpoint is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.cli._format import Format, FormatOption
from modelcli.cli._meter import Meter
from modelcli.cli._options import (
    AllowRealOption,
    QuietOption,
    SetOption,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._target import note_remarks, read_model_kwargs
from modelcli.cli._tensor_options import (
    BuffersOption,
    DeviceOption,
    GroupOption,
    InitOption,
    KeyOption,
    MatchOption,
    SeedOption,
    SortOption,
    StatsOption,
    TensorsArgument,
    TrainableOption,
    ValuesOption,
)
from modelcli.errors import UsageError
from modelcli.initialise.rules import parse_init
from modelcli.tensors.open import BuildOptions, Opened, open_target, open_values
from modelcli.tensors.rows import ParamRow, select_rows
from modelcli.views.params_result import result_body, result_tables, target_lines
from modelcli.views.table import Table

EXAMPLES = (
    "modelcli params lenet",
    "modelcli params mlp --sort numel --match '*.weight'",
    "modelcli params alexnet --group 2",
    "modelcli params nest-mlp --stats --init normal:std=0.01 --values 'net.0.weight[0]'",
    "modelcli params lenet --stats --init 'conv*=kaiming_normal,*=xavier_uniform'",
    "modelcli params autoencoder --buffers --format json",
)


def command(
    target: TensorsArgument,
    buffers: BuffersOption = False,
    match: MatchOption = None,
    sort: SortOption = None,
    trainable: TrainableOption = None,
    group: GroupOption = None,
    stats: StatsOption = False,
    values: ValuesOption = None,
    init: InitOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    key: KeyOption = None,
    set_: SetOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List every tensor of a model or a checkpoint, with its size."""
    out = Output("params", target=target, format=format, quiet=quiet, verbose=verbose)
    options = BuildOptions(
        device=device,
        seed=seed,
        init=parse_init(init) if init is not None else None,
        allow_real=allow_real,
    )
    _check_flags(options, needs_values=stats or bool(values), group=group, stats=stats)
    if values and (stats or group is not None):
        _refuse_two_tables(out)
    opened = open_target(
        target,
        key=key,
        model_kwargs=read_model_kwargs(set_),
        options=options if stats or values else None,
    )
    note_remarks(out, opened.remarks)
    rows = select_rows(opened.rows, match=match, trainable=trainable, buffers=buffers, sort=sort)
    if stats:
        from modelcli.tensors.stats import with_stats  # numpy takes longer than help may

        with Meter(out, sum(row.bytes for row in rows)) as meter:
            rows = with_stats(opened, rows, options, done=meter.add)
    notes = target_lines(opened, buffers=buffers)
    if opened.model is not None and (stats or values):
        by = f"by {init}" if init is not None else "as the model does itself"
        notes.append(f"values: initialised {by}, seed {seed or 0}")
    _write(out, opened, rows, notes, group=group, stats=stats, values=values or ())


def _check_flags(
    options: BuildOptions, *, needs_values: bool, group: int | None, stats: bool
) -> None:
    if options.given and not needs_values:
        raise UsageError(
            f"{options.given[0]} changes only values, and none are shown",
            "add --stats or --values",
        )
    if group is not None and group < 1:
        raise UsageError(f"--group {group} is not possible", "give a depth of 1 or more")
    if group is not None and stats:
        raise UsageError("--group sums tensors, and --stats looks into each", "leave one out")


def _refuse_two_tables(out: Output) -> None:
    if out.format is Format.TSV:
        raise UsageError(
            "--format tsv is one table, and --values makes another", "ask for one, or use json"
        )


def _write(
    out: Output,
    opened: Opened,
    rows: Sequence[ParamRow],
    notes: Sequence[str],
    *,
    group: int | None,
    stats: bool,
    values: Sequence[str],
) -> None:
    """Write what was asked for; of JSON and tables only the one that is asked for is made."""
    body: dict[str, Any] = {}
    tables: list[Table] = []
    if out.format is Format.JSON:
        body = result_body(opened, rows, group=group)
    else:
        tables = result_tables(opened, rows, notes, group=group, stats=stats)
    if values:
        from modelcli.tensors.read_values import parse_values, read_values
        from modelcli.views.params_values import values_body, values_table

        wanted = [parse_values(text, opened.rows) for text in values]
        with open_values(opened) as source:
            shown = read_values(wanted, rows, source, named=opened.rows)
        body |= values_body(shown)
        tables = [*([] if out.format is Format.TSV else tables), values_table(shown)]
    out.result(body, *tables)

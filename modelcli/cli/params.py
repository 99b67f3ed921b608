"""``modelcli params``: what tensors a model or a checkpoint is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.cli._meter import Meter
from modelcli.cli._options import (
    AllowRealOption,
    FormatOption,
    QuietOption,
    SetOption,
    VerboseOption,
)
from modelcli.cli._output import Format, Output
from modelcli.cli._target import read_model_kwargs
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
from modelcli.tensors.rows import ParamRow, select_rows, sum_rows
from modelcli.tensors.stats import with_stats
from modelcli.views.params import params_body, params_table
from modelcli.views.table import Table
from modelcli.views.text import plural

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
    """List every parameter of a model, or every tensor of a checkpoint, with shape and size."""
    out = Output("params", target=target, format=format, quiet=quiet, verbose=verbose)
    options = BuildOptions(
        device=device,
        seed=seed,
        init=parse_init(init) if init is not None else None,
        allow_real=allow_real,
    )
    _check_flags(options, needs_values=stats or bool(values), group=group, stats=stats)
    if out.format is Format.TSV and values and (stats or group is not None):
        raise UsageError(
            "--format tsv is one table, and --values makes another", "ask for one, or use json"
        )
    opened = open_target(
        target,
        key=key,
        model_kwargs=read_model_kwargs(set_),
        options=options if stats or values else None,
    )
    rows = select_rows(opened.rows, match=match, trainable=trainable, buffers=buffers, sort=sort)
    if stats:
        with Meter(out, sum(row.bytes for row in rows)) as meter:
            rows = with_stats(opened, rows, options, done=meter.add)
    notes = _notes(opened, buffers=buffers)
    if opened.model is not None and (stats or values):
        by = f"by {init}" if init is not None else "as the model does itself"
        notes.append(f"values: initialised {by}, seed {seed or 0}")
    body, tables = _main_part(out, opened, rows, notes, group=group, stats=stats)
    if values:
        more, table = _values_part(values, opened, rows)
        body = {**body, **more}
        tables = [table] if out.format is Format.TSV else [*tables, table]
    out.result(body, *tables)


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


def _notes(opened: Opened, *, buffers: bool) -> list[str]:
    """Say what the model has besides the rows."""
    notes = []
    hidden = 0 if buffers else sum(row.kind == "buffer" for row in opened.rows)
    if hidden:
        notes.append(f"{plural(hidden, 'buffer')} not listed (--buffers)")
    if opened.packed:
        notes.append(
            f"{opened.packed:,} more are packed in quantised layers, which have no named parameters"
        )
    return notes


def _main_part(
    out: Output,
    opened: Opened,
    rows: list[ParamRow],
    notes: list[str],
    *,
    group: int | None,
    stats: bool,
) -> tuple[dict[str, Any], list[Table]]:
    """Return what JSON has and the first table; only the one that is asked for is made."""
    from modelcli.views.params_files import checkpoint_body, checkpoint_lines

    totals = sum_rows(rows)
    if opened.checkpoint is not None:
        notes = [*notes, *checkpoint_lines(opened.checkpoint)]
    if out.format is Format.JSON:
        body = params_body(rows, totals)
        if group is not None:
            from modelcli.tensors.groups import group_rows
            from modelcli.views.params_groups import groups_body

            body |= groups_body(group_rows(rows, group))
        if opened.checkpoint is not None:
            body |= checkpoint_body(opened.checkpoint)
        else:
            body["totals"]["packed_params"] = opened.packed
        return body, []
    if group is not None:
        from modelcli.tensors.groups import group_rows
        from modelcli.views.params_groups import groups_table

        return {}, [groups_table(group_rows(rows, group), rows, totals, notes=notes)]
    if stats:
        from modelcli.views.params_stats import stats_tables

        return {}, stats_tables(rows, totals, notes=notes)
    return {}, [params_table(rows, totals, notes=notes)]


def _values_part(
    values: Sequence[str], opened: Opened, rows: list[ParamRow]
) -> tuple[dict[str, Any], Table]:
    from modelcli.tensors.read_values import parse_values, read_values
    from modelcli.views.params_values import values_body, values_table

    wanted = [parse_values(text, opened.rows) for text in values]
    with open_values(opened) as source:
        shown = read_values(wanted, rows, source, named=opened.rows)
    return values_body(shown), values_table(shown)

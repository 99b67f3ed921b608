"""A comparison from its options to its tables and files."""

from __future__ import annotations

from dataclasses import replace

from modelcli.cli._compare_files import check_files, write_files
from modelcli.cli._compare_measure import Wanted, measure_all
from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.cli._target import read_model_kwargs
from modelcli.comparing.changes import compare_results
from modelcli.comparing.kept import part_of_any, read_result
from modelcli.comparing.options import MeasureOptions
from modelcli.comparing.row import ModelRow
from modelcli.comparing.targets import is_pattern, is_result
from modelcli.errors import RunFailedError, UsageError
from modelcli.loading.grammar import make_request
from modelcli.views.compare import (
    changes_body,
    changes_table,
    compare_body,
    compare_table,
    read_choice,
)
from modelcli.views.pictures.scatter import read_axes


def compare(out: Output, wanted: Wanted) -> None:
    """Compare models or earlier results.

    Raises:
        UsageError: an option, a target or a file is wrong.
        RunFailedError: a model that was named failed, or two results differ.
    """
    choice = read_choice(wanted.columns, wanted.where, wanted.sort, wanted.top)
    axes = read_axes(wanted.axes)
    paths = check_files(wanted.files, force=wanted.force)
    results = [word for word in wanted.targets if is_result(word)]
    if len(results) == 2 == len(wanted.targets):
        _show_changes(out, *results)
        return
    if results:
        if len(wanted.targets) > 1:
            raise UsageError(
                f"'{results[0]}' is an earlier result, and stands beside "
                f"{len(wanted.targets) - 1} more",
                "give one result to look at it, two to see what changed, or models alone",
            )
        rows, path_of_rows = read_result(results[0])[: wanted.limit], None
    else:
        _check_options(wanted.options)
        asked = {*choice.asked, *axes}
        options = _with_columns(wanted.options, asked)
        if options.time and wanted.jobs > 1:
            raise UsageError(
                f"--time with --jobs {wanted.jobs} would time models against one another",
                "leave --jobs out; the sweep can be continued",
            )
        path_of_rows = part_of_any(paths) if paths else None
        rows = measure_all(out, replace(wanted, options=options), path_of_rows)
    write_files(out, rows, choice, paths, axes)
    if path_of_rows is not None:
        path_of_rows.unlink(missing_ok=True)
    if out.format is not Format.JSONL:
        body = compare_body(rows, choice) if out.format is Format.JSON else {}
        out.result(body, compare_table(rows, choice))
    _judge(wanted.targets, rows)


def _with_columns(options: MeasureOptions, asked: set[str]) -> MeasureOptions:
    """Return the options that work out every column that is named anywhere."""
    return replace(
        options,
        field=options.field or "receptive_field" in asked,
        peak=options.peak or "peak_bytes" in asked,
        time=options.time or "latency_s" in asked,
    )


def _check_options(options: MeasureOptions) -> None:
    """Tell mistakes in the models' inputs and arguments once, before any model is built."""
    make_request(options.inputs, options.batch_size, options.kwargs)
    read_model_kwargs(options.settings)


def _show_changes(out: Output, first: str, second: str) -> None:
    changes = compare_results(read_result(first), read_result(second))
    out.result(changes_body(changes), changes_table(changes))
    if changes.are_there:
        raise RunFailedError(f"'{second}' differs from '{first}'", "the table says in what")


def _judge(words: tuple[str, ...], rows: list[ModelRow]) -> None:
    """Raise where a model that was named, not only matched, has failed."""
    failed = {row.target: row.error for row in rows if row.error is not None}
    named = [word for word in words if word in failed and not is_pattern(word)]
    if named:
        raise RunFailedError(f"'{named[0]}' failed: {failed[named[0]]}", "summary shows more of it")
    if failed and len(failed) == len(rows):
        raise RunFailedError(f"all {len(rows):,} models failed", "the rows say why")

"""A comparison from its options to its tables and files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from modelcli.cli._compare_files import check_files, write_files
from modelcli.cli._compare_progress import SweepProgress
from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.cli._startup import prepare_long_run
from modelcli.cli._target import read_model_kwargs
from modelcli.comparing.changes import compare_results
from modelcli.comparing.kept import Kept, part_of, read_result
from modelcli.comparing.options import MeasureOptions
from modelcli.comparing.row import ModelRow
from modelcli.comparing.targets import expand, is_pattern, is_result
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked on the command line."""

    targets: tuple[str, ...]
    options: MeasureOptions
    where: str | None = None
    sort: str | None = None
    columns: str | None = None
    top: int | None = None
    limit: int | None = None
    jobs: int = 1
    files: tuple[str, ...] = ()
    axes: str | None = None
    force: bool = False


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
        options = replace(wanted.options, field="receptive_field" in asked)
        rows = _measure_all(out, replace(wanted, options=options), paths)
        path_of_rows = part_of(paths[0]) if paths else None
    write_files(out, rows, choice, paths, axes)
    if path_of_rows is not None:
        path_of_rows.unlink(missing_ok=True)
    if out.format is not Format.JSONL:
        body = compare_body(rows, choice) if out.format is Format.JSON else {}
        out.result(body, compare_table(rows, choice))
    _judge(wanted.targets, rows)


def _check_options(options: MeasureOptions) -> None:
    """Tell mistakes in the models' inputs and arguments once, before any model is built."""
    make_request(options.inputs, options.batch_size, options.kwargs)
    read_model_kwargs(options.settings)


def _measure_all(out: Output, wanted: Wanted, paths: tuple[Path, ...]) -> list[ModelRow]:
    """Return the rows of all targets in their order; each is kept as soon as it is there."""
    targets = expand(wanted.targets, limit=wanted.limit)
    prepare_long_run()
    if not paths:
        found = {row.target: row for row in _measured(out, targets, wanted, None)}
        return [found[target] for target in targets]
    path = part_of(paths[0])
    if wanted.force:
        path.unlink(missing_ok=True)
    with Kept(path=path, options=wanted.options.to_dict()) as kept:
        try:
            for row in _measured(out, targets, wanted, kept):
                kept.add(row)
        except KeyboardInterrupt:
            done = sum(target in kept.rows for target in targets)
            out.note(f"{done:,} of {len(targets):,} rows are kept; the same command goes on")
            raise
        return [kept.rows[target] for target in targets]


def _measured(
    out: Output, targets: list[str], wanted: Wanted, kept: Kept | None
) -> Iterator[ModelRow]:
    from modelcli.comparing.sweep import sweep

    before = [kept.rows[target] for target in targets if kept and target in kept.rows]
    rest = [target for target in targets if kept is None or target not in kept.rows]
    if before:
        out.note(f"note: {len(before):,} of {len(targets):,} rows are there from before")
    streams = out.format is Format.JSONL
    for row in before if streams else ():
        out.text(json.dumps(row.to_dict()))
    with SweepProgress(out, len(rest)) as progress:
        for row in sweep(rest, wanted.options, jobs=wanted.jobs):
            progress.add(row)
            if streams:
                out.text(json.dumps(row.to_dict()))
            yield row


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

"""What ``summary`` shows, cut to one's need, and how it judges what it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.errors import RunFailedError, UsageError

if TYPE_CHECKING:
    from modelcli.loading.source import Source
    from modelcli.tracing.record import Trace
    from modelcli.views.summary_cut import Cut


def make_cut(
    depth: int | None,
    columns: str | None,
    sort: str | None,
    top: int | None,
    *,
    fold: bool,
    verbose: bool,
) -> Cut:
    """Read the options that say what of a summary is shown.

    Raises:
        UsageError: a column is not known, or a number is not possible.
    """
    from modelcli.views.summary_choices import read_columns, read_sort
    from modelcli.views.summary_cut import DEFAULT_DEPTH, Cut

    if depth is not None and depth < 0:
        raise UsageError(f"--depth {depth} is not possible", "give 0 for all levels, or 1 and more")
    name, ascending = read_sort(sort) if sort is not None else (None, False)
    return Cut(
        depth=DEFAULT_DEPTH if depth is None else depth or None,
        plumbing=verbose,
        columns=read_columns(columns) if columns is not None else None,
        sort=name,
        ascending=ascending,
        top=top,
        fold=fold,
    )


def print_summary(out: Output, trace: Trace, cut: Cut) -> None:
    """Write our own summary."""
    from modelcli.views.summary import summary_body, summary_table

    body = summary_body(trace, cut) if out.format is Format.JSON else {}
    out.result(body, summary_table(trace, cut))


def print_torch(out: Output, source: Source) -> None:
    """Write what ``print(model)`` writes."""
    from modelcli.loading.build import build_first

    out.text(repr(build_first(source)[0]))


def print_torchinfo(out: Output, source: Source, trace: Trace) -> None:
    """Write torchinfo's table, and the true totals where it has others."""
    from modelcli.loading.torchinfo import describe_with_torchinfo
    from modelcli.views.text import printable, show_count

    table, params, macs = describe_with_torchinfo(source, trace.inputs, trace.mode, printable)
    out.text(table)
    totals = trace.totals
    if (params, macs) != (totals.params, totals.macs):
        out.text(
            f"torchinfo counts {show_count(params)} parameters and {show_count(macs)} MACs; true "
            f"are {show_count(totals.params)} parameters and {show_count(totals.macs)} MACs."
        )


def judge(trace: Trace, *, strict: bool) -> None:
    """Raise where the forward failed or, if strict, an operation was not counted."""
    from modelcli.views.failure import describe_failure

    if trace.failure is not None:
        raise RunFailedError(*describe_failure(trace))
    if strict and not trace.coverage.complete:
        names = ", ".join(trace.coverage.uncounted)
        raise RunFailedError(f"not every operation was counted: {names}", "the totals are too low")

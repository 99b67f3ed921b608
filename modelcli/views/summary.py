"""The structure of a model: the tree with its shapes and costs, the totals and the coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelcli.tracing.other_convention import CONVENTION
from modelcli.tracing.record import Node, Totals, Trace
from modelcli.views.failure import error_body
from modelcli.views.summary_choices import DEFAULT_SORT, choice_of, share_of_total, sort_nodes
from modelcli.views.summary_columns import (
    NOT_PRINTED,
    chosen_columns,
    json_columns,
    usual_columns,
)
from modelcli.views.summary_cut import USUAL, Cut, Shown, select
from modelcli.views.table import Table, json_rows, table_of
from modelcli.views.text import plural, show_bytes, show_count, show_dims, show_percent, show_si

# What a narrow terminal leaves out, the first to go first.
_SPARE = ("input_shapes", "output_shapes", "type")


def summary_table(trace: Trace, cut: Cut = USUAL) -> Table:
    """Return the rows and columns that a cut leaves, with the totals below them.

    Args:
        trace: one observed pass.
        cut: what is shown; the totals do not depend on it.
    """
    shown = _rows(trace, cut)
    if cut.columns is None:
        columns = usual_columns(shown, backward=trace.totals.backward_flops is not None)
    else:
        columns = chosen_columns(shown, cut.columns)
    return table_of(
        columns,
        shown.nodes,
        notes=(*summary_notes(trace, verbose=cut.plumbing), *_notes_on_cut(shown, cut)),
        styles=tuple(map(_style, shown.nodes)),
        spare=_SPARE if cut.columns is None else (),
    )


def _rows(trace: Trace, cut: Cut) -> Shown:
    """Return the rows of a cut, sorted if they are to be."""
    shown = select(trace, cut)
    if not shown.is_list:
        return shown
    found = sort_nodes(shown, cut.sort or DEFAULT_SORT, ascending=cut.ascending)
    return replace(shown, nodes=found[: cut.top])


_STYLES = {"module": "", "op": "cyan", "parameter": "magenta"}


def _style(node: Node) -> str:
    """Return the colour of a row: by its kind, and by whether it ran and is registered."""
    if not node.executed:
        return "dim"
    return "yellow" if node.kind == "module" and not node.printed else _STYLES[node.kind]


def _notes_on_cut(shown: Shown, cut: Cut) -> list[str]:
    """Return what must be known of rows that are left out or stand for several."""
    lines = []
    if not all(node.printed for node in shown.nodes):
        lines.append(f"'{NOT_PRINTED}' marks what print(model) does not show")
    hidden = shown.hidden & {node.index for node in shown.nodes}
    if hidden:
        lines.append(f"'...' hides the inside of {plural(len(hidden), 'row')}; --depth 0 shows all")
    if cut.top is not None:
        key = cut.sort or DEFAULT_SORT
        share = share_of_total(shown, key)
        held = "" if share is None else f", {show_percent(share)} of the {choice_of(key).title}"
        lines.append(f"the first {plural(len(shown.nodes), 'row')} by {key}{held}")
    if any(shown.counts.get(node.index, 1) > 1 for node in shown.nodes):
        lines.append("'x N' stands for N equal blocks; the numbers beside it are of one")
    return [f"note      {line}" for line in lines]


def summary_notes(trace: Trace, *, verbose: bool = False) -> tuple[str, ...]:
    """Return the lines below the table: inputs, totals, coverage, ties and remarks.

    Args:
        trace: one observed pass.
        verbose: also say what was counted where that is everything.
    """
    lines = [f"input     {describe_inputs(trace)}", *_total_lines(trace)]
    if verbose or not trace.is_complete:
        lines.append(f"coverage  {describe_coverage(trace)}")
    lines.extend(f"tied      {' = '.join(names)}" for names in trace.ties[:8])
    if len(trace.ties) > 8:
        lines.append(f"tied      and {plural(len(trace.ties) - 8, 'group')} more")
    lines.extend(f"note      {remark}" for remark in trace.remarks)
    return tuple(lines)


def describe_inputs(trace: Trace) -> str:
    """Return a line on what the model was run on, and how."""
    parts = [
        f"{record.name}: {record.dtype} {show_dims(record.shape)}" for record in trace.inputs[:4]
    ]
    if len(trace.inputs) > 4:
        parts.append(f"{len(trace.inputs) - 4} more")
    origins = list(dict.fromkeys(record.origin for record in trace.inputs))
    origin = f" ({', '.join(origins)})" if origins else ""
    how = f"run on {trace.execution}" if trace.execution != "real" else "run for real"
    return f"{', '.join(parts) or 'none'}{origin}, {trace.mode} mode, {how}"


def _total_lines(trace: Trace) -> list[str]:
    totals = trace.totals
    at_least = _at_least(trace)
    lines = [f"params    {describe_params(totals, failed=trace.failure is not None)}"]
    if totals.buffers:
        lines.append(f"buffers   {show_count(totals.buffers)}, {show_bytes(totals.buffer_bytes)}")
    lines.append(f"cost      {show_costs(trace)}")
    if totals.other_flops is not None:
        lines.append(
            f"other     {show_count(totals.other_flops)} FLOPs ({CONVENTION}); in no total"
        )
    if totals.backward_flops is not None:
        both = totals.flops + totals.backward_flops
        lines.append(
            f"backward  {at_least}{show_count(totals.backward_flops)} FLOPs, "
            f"with the forward {at_least}{show_count(both)} FLOPs"
        )
    return lines


def show_costs(trace: Trace) -> str:
    """Write the total cost of the forward: ``416,520 MACs, 833,040 FLOPs``."""
    macs, flops = _show_both(trace.totals.macs, "MACs"), _show_both(trace.totals.flops, "FLOPs")
    return f"{_at_least(trace)}{macs}, {_at_least(trace)}{flops}"


def _at_least(trace: Trace) -> str:
    return "" if trace.is_complete else ">= "


def _show_both(cost: int, unit: str) -> str:
    """Write a cost exactly, and rounded where that is shorter to say."""
    rounded = f" ({show_si(cost)})" if cost >= 1_000_000 else ""
    return f"{show_count(cost)} {unit}{rounded}"


def describe_params(totals: Totals, *, failed: bool = False) -> str:
    """Return a sentence on the parameters: how many, trainable or not, used or not.

    After a failed pass nothing is said of use.
    """
    parts = [f"{show_count(totals.params)}, {show_bytes(totals.param_bytes)}"]
    if totals.frozen_params:
        parts.append(
            f"{show_count(totals.trainable_params)} trainable, "
            f"{show_count(totals.frozen_params)} frozen"
        )
    else:
        parts.append("all trainable" if totals.params else "nothing to train")
    idle = totals.params - totals.executed_params
    if idle and not failed:
        parts.append(f"{show_count(idle)} never run")
    if totals.unmasked_params is not None:
        parts.append(f"{show_count(totals.unmasked_params)} left by pruning")
    if totals.packed_params:
        parts.append(f"{show_count(totals.packed_params)} packed by quantisation")
    return "; ".join(parts)


def describe_coverage(trace: Trace) -> str:
    """Return a sentence on which operations the cost stands for."""
    coverage = trace.coverage
    counted = plural(coverage.counted, "operation")
    ran = f"{counted} counted, {show_count(coverage.free)} without MACs"
    stopped = "" if trace.failure is None else "stopped, the totals are those of what ran: "
    if not coverage.uncounted:
        return f"{stopped or 'complete: '}{ran}"
    names = ", ".join(
        f"{name} ({plural(calls, 'call')}"
        + (f"; {coverage.reasons[name]})" if name in coverage.reasons else ")")
        for name, calls in coverage.uncounted.items()
    )
    return f"{stopped or 'NOT complete: '}{ran}, not known: {names}"


def summary_body(trace: Trace, cut: Cut = USUAL) -> dict[str, Any]:
    """Return the JSON document's own keys, with the rows that a cut leaves."""
    totals = trace.totals
    shown = _rows(trace, replace(cut, plumbing=True))
    total_keys = (
        "params", "trainable_params", "frozen_params", "executed_params", "buffers",
        "param_bytes", "buffer_bytes", "macs", "flops", "backward_flops", "unmasked_params",
        "packed_params",
        *(("other_flops",) if totals.other_flops is not None else ()),
    )  # fmt: skip
    return {
        "model": trace.model_type,
        "inputs": [
            {"name": r.name, "dtype": r.dtype, "shape": list(r.shape), "origin": r.origin}
            for r in trace.inputs
        ],
        "mode": trace.mode,
        "execution": trace.execution,
        "rows": json_rows(json_columns(shown, cut.columns or ()), shown.nodes),
        "totals": {key: getattr(totals, key) for key in total_keys},
        "coverage": {
            "counted": trace.coverage.counted,
            "free": trace.coverage.free,
            "uncounted": dict(trace.coverage.uncounted),
            "reasons": dict(trace.coverage.reasons),
            "complete": trace.is_complete,
        },
        "ties": [list(names) for names in trace.ties],
        "remarks": list(trace.remarks),
        "attempts": [
            {"execution": a.execution, "stage": a.stage, "reason": a.reason} for a in trace.attempts
        ],
        "error": error_body(trace.failure),
    }

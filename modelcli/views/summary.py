"""The structure of a model: the tree with its shapes and costs, the totals and the coverage."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from modelcli.tracing.record import Failure, Node, Totals, Trace
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import plural, show_bytes, show_count, show_dims, show_shapes, show_si

DEFAULT_DEPTH = 3
_INDENT = "  "


def summary_columns(
    trace: Trace, *, folded: Collection[int] = (), backward: bool = True
) -> tuple[Column, ...]:
    """Return the columns of the tree: what the table, Markdown, TSV and the JSON rows hold.

    A new column is one line here.

    Args:
        trace: one observed pass.
        folded: indices of the rows whose inside is not shown.
        backward: whether people and TSV see the column of the backward pass.
    """

    def layer(node: Node) -> str:
        return _INDENT * node.depth + (node.name or trace.model_type)

    def marked_type(node: Node) -> str:
        calls = f" x{node.calls}" if node.kind == "module" and node.calls > 1 else ""
        return f"{node.type}{calls}{' ...' if node.index in folded else ''}"

    return (
        Column(key="layer", title="layer", get=layer, only="people"),
        Column(key="path", title="path", only="data"),
        Column(key="depth", title="depth", only="data"),
        Column(key="kind", title="kind", only="data"),
        Column(key="type", title="type", get=marked_type, only="text", style="cyan"),
        Column(key="type", title="type", only="json"),
        Column(key="calls", title="calls", only="data"),
        Column(key="input_shapes", title="input", show=show_shapes),
        Column(key="output_shapes", title="output", get=_output, show=show_shapes, only="text"),
        Column(key="output_shapes", title="output", only="json"),
        Column(key="params", title="params", get=_params, align="right", only="people"),
        Column(key="params", title="params", only="data"),
        Column(key="own_params", title="own params", only="json"),
        Column(key="tied_params", title="tied params", only="json"),
        Column(key="trainable_params", title="trainable", only="json"),
        Column(key="buffers", title="buffers", only="json"),
        Column(key="macs", title="MACs", align="right", show=_show_cost, style="green"),
        Column(key="flops", title="FLOPs", only="json"),
        Column(key="own_macs", title="own MACs", only="json"),
        Column(key="backward_flops", title="backward FLOPs", align="right", show=_show_cost,
               only=None if backward else "json"),
        Column(key="output_bytes", title="output bytes", only="json"),
        Column(key="executed", title="executed", only="json"),
        Column(key="shared_with", title="shared with", only="json"),
        Column(key="plumbing", title="plumbing", only="json"),
        Column(key="uncounted", title="uncounted", only="json"),
    )  # fmt: skip


# What a narrow terminal leaves out, the first to go first.
_SPARE = ("input_shapes", "output_shapes", "type")


def summary_table(
    trace: Trace, *, depth: int | None = DEFAULT_DEPTH, plumbing: bool = False
) -> Table:
    """Return the tree as a table.

    Args:
        trace: one observed pass.
        depth: the deepest level shown; None shows all. Totals do not depend on it.
        plumbing: also show the functions that only move or cast data, and what was counted.
    """
    shown = _select(trace, depth=depth, plumbing=plumbing)
    folded = _folded(trace, shown)
    backward = trace.totals.backward_flops is not None
    return table_of(
        summary_columns(trace, folded=folded, backward=backward),
        shown,
        notes=summary_notes(trace, hidden=len(folded), verbose=plumbing),
        styles=tuple("dim" if not node.executed else "" for node in shown),
        spare=_SPARE,
    )


def _select(trace: Trace, *, depth: int | None, plumbing: bool) -> list[Node]:
    hidden_below: set[int] = set()
    shown: list[Node] = []
    for node in trace.nodes:
        if (
            node.parent in hidden_below
            or (node.plumbing and not plumbing)
            or (depth is not None and node.depth > depth)
        ):
            hidden_below.add(node.index)
        else:
            shown.append(node)
    return shown


def _folded(trace: Trace, shown: Sequence[Node]) -> set[int]:
    """Return the shown nodes below which modules are hidden."""
    visible = {node.index for node in shown}
    return {
        node.parent
        for node in trace.nodes
        if node.index not in visible and node.parent in visible and not node.plumbing
    }


def _show_cost(cost: int) -> str:
    return show_count(cost) if cost else "-"


def _output(node: Node) -> Any:
    """Return the shapes of the outputs; what never ran has none to show."""
    return node.output_shapes if node.executed else None


def _params(node: Node) -> str:
    """Write the parameters counted here, or where those of a shared row are counted."""
    text = show_count(node.params) if node.params else "-"
    if not node.executed:
        return f"{text}  never run"
    if node.shared_with is not None:
        same = f"= {node.shared_with or 'the model itself'}"
        return f"({show_count(node.tied_params)}) {same}" if node.tied_params else same
    if node.tied_params and node.kind == "module" and not node.params:
        return f"({show_count(node.tied_params)}) tied"
    return text


def summary_notes(trace: Trace, *, hidden: int = 0, verbose: bool = False) -> tuple[str, ...]:
    """Return the lines below the table: inputs, totals, coverage, ties and remarks.

    Args:
        trace: one observed pass.
        hidden: rows whose inside is not shown.
        verbose: also say what was counted where that is everything.
    """
    lines = [f"input     {_describe_inputs(trace)}", *_total_lines(trace)]
    if verbose or not trace.coverage.complete or trace.failure is not None:
        lines.append(f"coverage  {describe_coverage(trace)}")
    lines.extend(f"tied      {' = '.join(names)}" for names in trace.ties[:8])
    if len(trace.ties) > 8:
        lines.append(f"tied      and {plural(len(trace.ties) - 8, 'group')} more")
    lines.extend(f"note      {remark}" for remark in trace.remarks)
    if hidden:
        lines.append(
            f"note      '...' hides the inside of {plural(hidden, 'row')}; --depth 0 shows all"
        )
    return tuple(lines)


def _describe_inputs(trace: Trace) -> str:
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
    return "" if trace.coverage.complete and trace.failure is None else ">= "


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


def summary_body(trace: Trace, *, depth: int | None = DEFAULT_DEPTH) -> dict[str, Any]:
    """Return the JSON document's own keys; rows deeper than ``depth`` are left out."""
    totals = trace.totals
    total_keys = (
        "params", "trainable_params", "frozen_params", "executed_params", "buffers",
        "param_bytes", "buffer_bytes", "macs", "flops", "backward_flops", "unmasked_params",
        "packed_params",
    )  # fmt: skip
    return {
        "model": trace.model_type,
        "inputs": [
            {"name": r.name, "dtype": r.dtype, "shape": list(r.shape), "origin": r.origin}
            for r in trace.inputs
        ],
        "mode": trace.mode,
        "execution": trace.execution,
        "rows": json_rows(summary_columns(trace), _select(trace, depth=depth, plumbing=True)),
        "totals": {key: getattr(totals, key) for key in total_keys},
        "coverage": {
            "counted": trace.coverage.counted,
            "free": trace.coverage.free,
            "uncounted": dict(trace.coverage.uncounted),
            "reasons": dict(trace.coverage.reasons),
            "complete": trace.coverage.complete and trace.failure is None,
        },
        "ties": [list(names) for names in trace.ties],
        "remarks": list(trace.remarks),
        "attempts": [
            {"execution": a.execution, "stage": a.stage, "reason": a.reason} for a in trace.attempts
        ],
        "error": _error_body(trace.failure),
    }


def _error_body(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "path": failure.path,
        "type": failure.type,
        "message": failure.message,
        "op": failure.op,
        "input_shapes": failure.input_shapes,
    }

"""The structure of a model: the tree with its shapes and costs, the totals and the coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.tracing.record import Failure, Node, Totals, Trace
from modelcli.views.table import Column, Table
from modelcli.views.text import plural, show_bytes, show_count, show_dims, show_shapes, show_si

DEFAULT_DEPTH = 3
_INDENT = "  "


def summary_table(
    trace: Trace, *, depth: int | None = DEFAULT_DEPTH, plumbing: bool = False
) -> Table:
    """Return the tree as a table.

    Args:
        trace: one observed pass.
        depth: the deepest level shown; None shows all. Totals do not depend on it.
        plumbing: also show the functions that only move or cast data.
    """
    shown = _select(trace, depth=depth, plumbing=plumbing)
    backward = trace.totals.backward_flops is not None
    columns = [
        Column(key="layer", title="layer", only="people"),
        Column(key="path", title="path", only="data"),
        Column(key="depth", title="depth", only="data"),
        Column(key="kind", title="kind", only="data"),
        Column(key="type", title="type", style="cyan"),
        Column(key="calls", title="calls", only="data"),
        Column(key="input_shapes", title="input", show=show_shapes),
        Column(key="output_shapes", title="output", show=show_shapes),
        Column(key="params", title="params", align="right", show=str, only="people"),
        Column(key="params", title="params", only="data"),
        Column(key="macs", title="MACs", align="right", show=_show_cost, style="green"),
    ]
    if backward:
        columns.append(
            Column(key="backward_flops", title="backward FLOPs", align="right", show=_show_cost)
        )
    folded = _folded(trace, shown)
    rows = tuple(_cells(node, trace, folded, backward) for node in shown)
    return Table(
        columns=tuple(columns),
        rows=rows,
        notes=summary_notes(trace, hidden=len(folded)),
        styles=tuple("dim" if not node.executed else "" for node in shown),
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


def _cells(node: Node, trace: Trace, folded: set[int], backward: bool) -> tuple[Any, ...]:
    label = _INDENT * node.depth + (node.name or trace.model_type)
    kind = node.type
    if node.kind == "module" and node.calls > 1:
        kind += f" x{node.calls}"
    if node.index in folded:
        kind += " ..."
    return (
        label,
        node.path,
        node.depth,
        node.kind,
        kind,
        node.calls,
        node.input_shapes if node.kind != "parameter" else None,
        _output_cell(node),
        _params_cell(node),
        node.params,
        node.macs,
        *((node.backward_flops,) if backward else ()),
    )


def _output_cell(node: Node) -> Any:
    if not node.executed:
        return None
    return node.output_shapes


def _params_cell(node: Node) -> str:
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


def summary_notes(trace: Trace, *, hidden: int = 0) -> tuple[str, ...]:
    """Return the lines below the table: inputs, totals, coverage, ties and remarks."""
    lines = [f"input     {_describe_inputs(trace)}", *_total_lines(trace)]
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
    at_least = "" if trace.coverage.complete and trace.failure is None else ">= "
    lines = [f"params    {describe_params(totals, failed=trace.failure is not None)}"]
    if totals.buffers:
        lines.append(f"buffers   {show_count(totals.buffers)}, {show_bytes(totals.buffer_bytes)}")
    lines.append(
        f"cost      {at_least}{_show_both(totals.macs, 'MACs')}, "
        f"{at_least}{_show_both(totals.flops, 'FLOPs')}"
    )
    if totals.backward_flops is not None:
        both = totals.flops + totals.backward_flops
        lines.append(
            f"backward  {at_least}{show_count(totals.backward_flops)} FLOPs, "
            f"with the forward {at_least}{show_count(both)} FLOPs"
        )
    return lines


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
    ran = f"{plural(coverage.counted, 'operation')} counted, {show_count(coverage.free)} free"
    if not coverage.uncounted:
        return f"complete: {ran}"
    names = ", ".join(
        f"{name} ({plural(calls, 'call')})" for name, calls in coverage.uncounted.items()
    )
    return f"NOT complete: {ran}, not known: {names}"


def describe_failure(trace: Trace) -> tuple[str, str]:
    """Return the two lines for a forward that raised: what and where, and what to try.

    The trace must hold a failure.
    """
    failure = trace.failure
    assert failure is not None
    where = f"'{failure.path}' ({failure.node_type})" if failure.path else trace.model_type
    if failure.op:
        where += f", in {failure.op}"
    shapes = show_shapes(failure.input_shapes) if failure.input_shapes else "no tensor"
    message = f"forward failed in {where} on {shapes}: {failure.type}: {failure.message}"
    if _lacks_batch(trace):
        return message, _BATCH_HINT
    return message, suggest_mend(failure)


def _lacks_batch(trace: Trace) -> bool:
    """Tell whether the first convolution took its input for one unbatched sample."""
    for call in trace.calls:
        ndim = _CONVOLUTION_DIMS.get(call.base)
        if ndim is not None and call.input_shapes:
            return len(call.input_shapes[0]) == ndim + 1
    return False


_CONVOLUTION_DIMS = {f"Conv{n}d": n for n in (1, 2, 3)} | {f"conv{n}d": n for n in (1, 2, 3)}
_BATCH_HINT = "is the batch dimension missing? x.unsqueeze(0) adds it; --input takes it as 1x..."


def suggest_mend(failure: Failure) -> str:
    """Return what is the most likely mend for a failed forward."""
    text = failure.message.lower()
    batchless = ("expected 2d or 3d", "expected 3d or 4d", "expected 3d (unbatched) or 4d",
                 "expected 4d", "self must be a matrix", "unbatched")  # fmt: skip
    if any(part in text for part in batchless) or "dimension out of range" in text:
        return _BATCH_HINT
    if any(part in text for part in ("same dtype", "scalar type", "input type (", "dtype")):
        return "the input's dtype does not fit: --input takes one, as int64:1x128"
    if "indices" in text and ("long" in text or "int" in text):
        return "an embedding takes ids: --input int64:1x16"
    if "missing" in text and "argument" in text:
        return "give every input of forward: --input NAME:SHAPE, --kwarg KEY=VALUE"
    if failure.type in ("AttributeError", "NameError", "SystemExit"):
        return "no input mends that: look at the code of that forward"
    return "the rows above ran; give other sizes with --input, or look at that layer's arguments"


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
        "rows": [_row_body(n) for n in _select(trace, depth=depth, plumbing=True)],
        "totals": {key: getattr(totals, key) for key in total_keys},
        "coverage": {
            "counted": trace.coverage.counted,
            "free": trace.coverage.free,
            "uncounted": dict(trace.coverage.uncounted),
            "complete": trace.coverage.complete,
        },
        "ties": [list(names) for names in trace.ties],
        "remarks": list(trace.remarks),
        "attempts": [
            {"execution": a.execution, "stage": a.stage, "reason": a.reason} for a in trace.attempts
        ],
        "error": _error_body(trace.failure),
    }


def _row_body(node: Node) -> dict[str, Any]:
    keys = (
        "path", "depth", "kind", "type", "calls", "input_shapes", "output_shapes", "params",
        "own_params", "tied_params", "trainable_params", "buffers", "macs", "flops", "own_macs",
        "backward_flops", "output_bytes", "executed", "shared_with", "plumbing", "uncounted",
    )  # fmt: skip
    return {key: getattr(node, key) for key in keys}


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

"""A graph as rows: its nodes for people, its edges as data, and what stands above its picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelcli.graphs.draw import nested_boxes
from modelcli.graphs.flow import Origin, find_flow
from modelcli.graphs.hierarchy import build_boxes, output_ids
from modelcli.graphs.record import Box, Shape
from modelcli.tracing.record import Trace
from modelcli.views.failure import describe_failure, error_body
from modelcli.views.graph_svg import Caption
from modelcli.views.graph_words import show_extent
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import plural, show_brief, show_cost


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRow:
    """One tensor from one node to another.

    Attributes:
        output: which output of the source.
        argument: which of the tensors that the target takes; None for a write.
        kind: ``data``, or ``write`` where the source wrote into memory that the target reads.
    """

    source: str
    output: int
    target: str
    argument: int | None
    shape: tuple[int, ...]
    kind: str = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One box of the whole graph; see `Box`.

    Attributes:
        hidden: whether a picture leaves it out, unless ``--ops all`` asks for it.
        sources: names of the nodes that it reads.
    """

    id: str
    parent: str | None
    kind: str
    path: str
    type: str
    turn: int
    repeat: int
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    params: int
    macs: int
    flops: int
    output_bytes: int
    hidden: bool
    is_group: bool
    sources: tuple[str, ...]


NODE_COLUMNS = (
    Column(key="id", title="id"),
    Column(key="parent", title="parent", only="json"),
    Column(key="kind", title="kind", only="data"),
    Column(key="path", title="name", show=lambda path: path or "(model)"),
    Column(key="type", title="type"),
    Column(key="turn", title="turn", only="data"),
    Column(key="repeat", title="repeat", only="data"),
    Column(key="input_shapes", title="in", only="json"),
    Column(
        key="output_shapes", title="output",
        show=lambda shapes: ", ".join(map(show_extent, shapes[:2])) + (", ..." * (len(shapes) > 2)),
    ),
    Column(key="sources", title="from", only="people", show=lambda names: _short_list(names)),
    Column(key="params", title="params", align="right", show=show_cost),
    Column(key="macs", title="MACs", align="right", show=show_cost),
    Column(key="flops", title="FLOPs", only="data"),
    Column(key="output_bytes", title="bytes", only="data"),
    Column(key="hidden", title="hidden", only="data"),
)  # fmt: skip
EDGE_COLUMNS = (
    Column(key="source", title="source"),
    Column(key="output", title="output", align="right"),
    Column(key="target", title="target"),
    Column(key="argument", title="argument", align="right"),
    Column(key="shape", title="shape", show=show_extent),
    Column(key="kind", title="kind"),
)


def edge_rows(trace: Trace) -> list[EdgeRow]:
    """Return every tensor that goes from one call to another, in the order of the calls."""
    rows = []
    for call in trace.calls:
        target = f"c{call.index}"
        slots = call.slots or (0,) * len(call.sources)
        for place, (source, slot) in enumerate(zip(call.sources, slots, strict=True)):
            if source is not None:
                rows.append(_data_edge(source, slot, target, place, call.input_shapes[place]))
        rows += [
            EdgeRow(source=f"c{writer}", output=0, target=target, argument=None, shape=(),
                    kind="write")
            for writer in call.after
        ]  # fmt: skip
    for target, outputs in output_ids(trace).items():
        for place, made in enumerate(outputs):
            if made.source is not None:
                rows.append(_data_edge(made.source, made.slot, target, place, made.shape))
    return rows


def _data_edge(source: int, slot: int, target: str, place: int, shape: Shape) -> EdgeRow:
    return EdgeRow(source=_id_of(source, slot), output=0 if source < 0 else slot, target=target,
                   argument=place, shape=shape)  # fmt: skip


def _id_of(source: int, slot: int) -> str:
    """Return the id of the box that a tensor comes from: an input of the model, or a call."""
    return f"x{slot}" if source < 0 else f"c{source}"


def node_rows(trace: Trace) -> list[NodeRow]:
    """Return every box of the whole graph, nothing folded, those around others first."""
    root = build_boxes(trace, show_all=True)
    hidden = {f"c{n}" for n, hides in enumerate(find_flow(trace, show_all=False).hidden) if hides}
    repeats = _repeats(nested_boxes(trace))
    parents = {child.id: box.id for box in root.walk() for child in box.boxes()}
    names = {box.id: box.path or box.name for box in root.walk()}
    sources: dict[str, dict[str, None]] = defaultdict(dict)
    for edge in edge_rows(trace):
        if edge.kind == "data":
            sources[edge.target][names.get(edge.source, edge.source)] = None
    return [_node(box, parents, hidden, repeats, tuple(sources[box.id])) for box in root.walk()]


def _node(
    box: Box,
    parents: Mapping[str, str],
    hidden: set[str],
    repeats: Mapping[str, int],
    sources: tuple[str, ...],
) -> NodeRow:
    return NodeRow(
        id=box.id, parent=parents.get(box.id), kind=box.kind, type=box.type, turn=box.turn,
        path=box.path if box.kind in ("module", "op") else box.name,
        repeat=repeats.get(box.id, 1), input_shapes=box.input_shapes,
        output_shapes=box.output_shapes, params=box.params, macs=box.macs, flops=2 * box.macs,
        output_bytes=box.output_bytes, hidden=box.id in hidden, is_group=box.is_group,
        sources=sources,
    )  # fmt: skip


def _repeats(root: Box) -> dict[str, int]:
    """Return how many like it each box of the folded picture stands for, where that is several."""
    found: dict[str, int] = {}
    for box in root.walk():
        if box.repeat > 1:
            like = [child.id for child in box.boxes()] if box.kind == "frame" else [box.id]
            found.update(dict.fromkeys(like, box.repeat))
    return found


def graph_body(trace: Trace) -> dict[str, Any]:
    """Return the JSON document's own keys: the whole graph, nothing folded or left out."""
    return {
        "model": trace.model_type,
        "mode": trace.mode,
        "execution": trace.execution,
        "nodes": json_rows(NODE_COLUMNS, node_rows(trace)),
        "edges": json_rows(EDGE_COLUMNS, edge_rows(trace)),
        "coverage": {
            "uncounted": dict(trace.coverage.uncounted),
            "complete": trace.is_complete,
        },
        "error": error_body(trace.failure),
    }


def nodes_table(trace: Trace, *, show_all: bool = False) -> Table:
    """Return what ran, in order, with what each reads; for people.

    Args:
        trace: one observed pass.
        show_all: also what only moves data.
    """
    rows = node_rows(trace) if show_all else _with_seen_sources(trace, node_rows(trace))
    kept = [row for row in rows if not row.is_group and (show_all or not row.hidden)]
    left_out = sum(row.hidden for row in rows)
    notes = []
    if left_out and not show_all:
        verb = "moves" if left_out == 1 else "move"
        notes.append(f"note      {plural(left_out, 'function')} that only {verb} data left out; "
                     "--ops all lists them")  # fmt: skip
    notes.append("note      -o FILE.svg draws the graph; --format tsv lists its edges")
    return table_of(NODE_COLUMNS, kept, notes=tuple(notes), spare=("output_shapes", "type", "id"))


def _with_seen_sources(trace: Trace, rows: list[NodeRow]) -> list[NodeRow]:
    """Name for each row what it reads from, seen through what is left out."""
    flow = find_flow(trace, show_all=False)
    names = {row.id: row.path for row in rows}
    sources: dict[str, list[Origin]] = {
        f"c{call.index}": [o for o in flow.origins_of(call) if not o.write] for call in trace.calls
    }
    for id, outputs in output_ids(trace).items():
        sources[id] = [o for made in outputs for o in flow.origins(made.source, made.slot)]
    return [
        replace(row, sources=tuple(dict.fromkeys(
            names.get(_id_of(o.source, o.slot), "") for o in sources.get(row.id, ())
        )))
        for row in rows
    ]  # fmt: skip


def edges_table(trace: Trace) -> Table:
    """Return the edges, for TSV."""
    return table_of(EDGE_COLUMNS, edge_rows(trace))


def caption_of(trace: Trace, label: str) -> Caption:
    """Return what stands above a picture: the model, its size, its inputs, and what is not sure.

    Args:
        trace: one observed pass.
        label: the target, as it was given.
    """
    inputs = ", ".join(f"{r.dtype} {show_extent(r.shape)}" for r in trace.inputs[:3])
    more = f" and {len(trace.inputs) - 3} more" if len(trace.inputs) > 3 else ""
    least = "" if trace.is_complete else "at least "
    totals = trace.totals
    lines = [
        f"{label} · input {inputs or 'none'}{more}",
        f"{show_brief(totals.params)} parameters · {least}{show_brief(totals.macs)} MACs · "
        f"{plural(len(trace.calls), 'call')}",
    ]
    if not trace.coverage.complete:
        names = ", ".join(list(trace.coverage.uncounted)[:4])
        lines.append(f"not counted: {names}")
    failure = describe_failure(trace) if trace.failure is not None else ()
    return Caption(title=trace.model_type, lines=lines, failure=failure)


def _short_list(names: tuple[str, ...]) -> str:
    kept = ", ".join(names[:3])
    return f"{kept}, {len(names) - 3} more" if len(names) > 3 else kept

"""The data of the page: plain lists and texts, every name in it made printable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelcli.checks.record import Finding, Report
from modelcli.feature_maps.row import MapRow
from modelcli.graphs.choices import Choices, choose
from modelcli.loading.types import Shape
from modelcli.tracing.record import Trace
from modelcli.views.check import describe, fault_lines, show_place, skipped_lines
from modelcli.views.failure import describe_failure
from modelcli.views.memory import kind_table, memory_picture
from modelcli.views.pictures.look import KINDS, MARK
from modelcli.views.pictures.maps import svg_maps
from modelcli.views.pictures.memory import svg_memory
from modelcli.views.pictures.saving import file_name
from modelcli.views.plot import draw_curves
from modelcli.views.pyramid import levels
from modelcli.views.report.content import Content, RunCurves
from modelcli.views.report.graph_data import graph_data
from modelcli.views.shapes import notes_on, shapes_table
from modelcli.views.summary import (
    describe_coverage,
    describe_inputs,
    describe_params,
)
from modelcli.views.summary_cut import own_part
from modelcli.views.table import for_people
from modelcli.views.text import plural, printable, show_bytes, show_count, show_si

_KIND_NUMBERS = {"module": 0, "op": 1, "parameter": 2}
_MOST_TIES = 4


def page_data(content: Content) -> dict[str, Any]:
    """Return what the page's script reads."""
    trace = content.trace
    texts: dict[str, int] = {}
    return {
        "title": printable(content.heading),
        "model": printable(trace.model_type),
        "target": printable(content.target),
        "subtitle": printable(_subtitle(content)),
        "tiles": _tiles(trace),
        "banners": _banners(content),
        "kinds": [[name, legend] for name, (legend, _, _) in KINDS.items()],
        "rows": _rows(trace, texts),
        "texts": list(texts),
        "graph": _graph(trace),
        "mark": MARK,
        "file": file_name(content.target, ""),
        "memory": _memory(content) if content.moments else None,
        "maps": _maps(content) if content.maps else None,
        "check": _check(content.check, trace) if content.check is not None else None,
        "training": _training(content.training) if content.training is not None else None,
    }


def _subtitle(content: Content) -> str:
    told = [describe_inputs(content.trace)]
    if content.target != content.heading:
        told.insert(0, content.target)
    if content.trace.is_complete:
        told.append("every operation counted")
    return " · ".join(told)


def _tiles(trace: Trace) -> list[list[str]]:
    """Return name, short value and whole value of each figure on top."""
    totals = trace.totals
    least = "" if trace.is_complete else "≥ "
    ran = sum(node.kind == "module" and node.executed for node in trace.nodes)
    weight_bytes = totals.param_bytes + totals.buffer_bytes
    told = describe_params(totals, failed=trace.failure is not None)
    return [
        ["Parameters", show_si(totals.params), told],
        ["MACs", least + show_si(totals.macs), f"{least}{show_count(totals.macs)}"],
        ["FLOPs", least + show_si(totals.flops), f"{least}{show_count(totals.flops)}"],
        ["Weights", show_bytes(weight_bytes), f"{show_count(weight_bytes)} bytes with buffers"],
        ["Modules", show_count(ran), f"{plural(ran, 'module')} ran"],
    ]


def _banners(content: Content) -> list[dict[str, Any]]:
    """Return what must be seen first: a failed forward, what was not counted, remarks."""
    trace = content.trace
    found: list[dict[str, Any]] = []
    if trace.failure is not None:
        message, hint = describe_failure(trace)
        lines = [hint, "what is shown below is what ran until then"]
        found.append(_banner("wrong", message, lines))
    if not trace.coverage.complete:
        title = "Not every operation was counted: the totals are lower bounds"
        found.append(_banner("warn", title, [describe_coverage(trace)]))
    lines = [*content.remarks, *trace.remarks]
    lines += [f"{' = '.join(names)} are one tensor" for names in trace.ties[:_MOST_TIES]]
    if len(trace.ties) > _MOST_TIES:
        lines.append(f"and {plural(len(trace.ties) - _MOST_TIES, 'tied group')} more")
    idle = trace.totals.params - trace.totals.executed_params
    if idle and trace.failure is None:
        lines.append(f"{plural(idle, 'parameter')} never run")
    told = list(dict.fromkeys(lines))
    if told:
        found.append(_banner("note", plural(len(told), "note"), told))
    return found


def _banner(kind: str, title: str, lines: Sequence[str]) -> dict[str, Any]:
    return {"kind": kind, "title": printable(title), "lines": [printable(line) for line in lines]}


def _rows(trace: Trace, texts: dict[str, int]) -> list[list[Any]]:
    """Return a list of plain values per row; texts that repeat are numbers into ``texts``."""

    def number(text: str) -> int:
        return texts.setdefault(printable(text), len(texts))

    failed = trace.failure.path if trace.failure is not None else None
    rows = []
    for node in trace.nodes:
        flags = (
            (not node.executed)
            + 2 * node.plumbing
            + 4 * (node.kind == "module" and node.path == failed)
            + 8 * (node.shared_with is not None)
        )
        rows.append(
            [
                printable(own_part(trace, node)),
                -1 if node.parent is None else node.parent,
                _KIND_NUMBERS[node.kind], number(node.type), number(show_times(node.input_shapes)),
                number(show_times(node.output_shapes) if node.executed else ""), node.params,
                node.own_params, node.macs, node.own_macs, node.output_bytes, node.calls, flags,
            ]
        )  # fmt: skip
    return rows


def show_times(shapes: Sequence[Shape]) -> str:
    """Write shapes as pictures do: ``1×3×224×224, 1×10``; four and more are elided."""
    texts = ["×".join(map(str, shape)) or "scalar" for shape in shapes]
    if len(texts) > 3:
        return f"{texts[0]}, … {len(texts) - 1} more"
    return ", ".join(texts)


def _graph(trace: Trace) -> dict[str, Any] | None:
    """Return the boxes and arrows; None where nothing ran."""
    root, opened = choose(trace, Choices())
    return graph_data(root, opened) if root.is_group else None


def _maps(content: Content) -> dict[str, Any]:
    rows: tuple[MapRow, ...] = content.maps
    table = shapes_table(rows)
    columns, cells = for_people(table)
    drawing = svg_maps(levels(rows), title=f"Feature maps of {content.heading}", theme="page")
    return {
        "svg": drawing.svg,
        "table": {
            "columns": [
                [column.title, column.align == "right", column.key in _MONO] for column in columns
            ],
            "rows": cells,
        },
        "notes": [_told(line) for line in notes_on(content.trace, rows)[1:]],
        "legend": [_told(text) for _, text in table.legend],
    }


_NOTE_INDENT = 10  # of the lines below the table of memory, whose words may be two
_MONO = ("path", "input", "output", "formula")


def _memory(content: Content) -> dict[str, Any]:
    record = content.memory
    assert record is not None
    notes = kind_table(record).notes
    drawing = svg_memory(memory_picture(record, content.heading), "page")
    return {
        "svg": drawing.svg,
        "notes": [
            _told(line, _NOTE_INDENT) for line in notes if not line.startswith(("time", "assumes"))
        ],
    }


def _told(line: str, indent: int | None = None) -> list[str]:
    """Divide a line below a table: the word at its beginning, and what it says."""
    word, text = line.split(None, 1) if indent is None else (line[:indent], line[indent:])
    return [word.strip(), printable(" ".join(text.split()))]


def _check(report: Report, trace: Trace) -> dict[str, Any]:
    paths = {node.path for node in trace.nodes}
    return {
        "summary": printable(describe(report)),
        "findings": [_finding(finding, paths) for finding in report.findings],
        "skipped": [printable(line) for line in skipped_lines(report)],
        "faults": [printable(line) for line in fault_lines(report)],
    }


def _finding(finding: Finding, paths: set[str]) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "title": printable(finding.title),
        "severity": str(finding.severity),
        "path": printable(finding.path),
        "message": printable(finding.message),
        "why": printable(finding.why),
        "fix": printable(finding.fix),
        "place": printable(show_place(finding.place)),
        "code": printable(finding.place.code) if finding.place else "",
        "row": bool(finding.path) and finding.path in paths,
    }


def _training(training: RunCurves) -> dict[str, Any]:
    charts = [draw_curves(curves, metric, theme="page").svg for metric, curves in training.metrics]
    runs = []
    for outcome in training.outcomes:
        told = [outcome.verdict] if outcome.verdict else ["not finished, or its end is not told"]
        if outcome.steps:
            told.append(f"{plural(outcome.steps, 'step')} in {outcome.elapsed_s:,.1f} s")
        name = Path(outcome.run).name or outcome.run
        runs.append({"name": printable(name), "told": printable(", ".join(told))})
    return {"charts": charts, "runs": runs}

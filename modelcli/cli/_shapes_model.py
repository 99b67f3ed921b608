"""``shapes`` of a model: from one observed pass, at one size or several, and proved."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcli.cli._output import Output
from modelcli.cli._shapes_common import Picture, show_rows, terminal_width, wants_data
from modelcli.cli._target import ModelArguments, note_remarks, read_arguments
from modelcli.errors import RunFailedError, UsageError

if TYPE_CHECKING:
    from modelcli.feature_maps.row import MapRow
    from modelcli.loading.source import Source
    from modelcli.loading.types import Execution
    from modelcli.tracing.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What the command line says about how the model is run."""

    batch_size: int | None
    kwargs: Sequence[str]
    settings: Sequence[str]
    input_from: str | None
    execution: Execution | None
    allow_real: bool


def show_model(
    out: Output,
    target: str,
    *,
    inputs: Sequence[str],
    options: ModelOptions,
    show: Picture,
    prove: bool,
) -> None:
    """Show the feature maps of a model.

    Raises:
        RunFailedError: the forward raised, or a proof shows that a computed field is wrong.
        UsageError: several sizes are combined with what takes one.
    """
    sizes = split_sizes(inputs)
    arguments = [
        read_arguments(
            target,
            inputs=chosen,
            batch_size=options.batch_size,
            kwargs=options.kwargs,
            settings=options.settings,
            factory=options.input_from,
        )
        for chosen in sizes
    ]
    if len(sizes) > 1 and (prove or show.explain or show.plot or show.path):
        raise UsageError(
            "several input sizes have a table only",
            "give one size for --explain, --plot, -o and --prove",
        )

    from modelcli.loading.find import find_source

    source = find_source(arguments[0].target, arguments[0].model_kwargs)
    traces = [_observe(source, given, options) for given in arguments]
    note_remarks(out, source.remarks)
    if prove:
        _prove(out, source, arguments[0], options, traces[0])
    elif len(traces) > 1:
        _show_sizes(out, traces)
    else:
        _show_one(out, traces[0], show=show, title=target)
    for given, trace in zip(arguments, traces, strict=True):
        _judge(source, given, trace)


def split_sizes(inputs: Sequence[str]) -> list[list[str]]:
    """Return one list of inputs per size: ``1x3x224x224,1x3x256x256`` asks for two.

    Raises:
        UsageError: inputs with different numbers of sizes.
    """
    listed = [_sizes_of(text) for text in inputs]
    counts = {len(sizes) for sizes in listed if len(sizes) > 1}
    if len(counts) > 1:
        raise UsageError(
            f"the inputs have {' and '.join(map(str, sorted(counts)))} sizes",
            "give every input as many sizes, or one",
        )
    count = counts.pop() if counts else 1
    return [[sizes[number % len(sizes)] for sizes in listed] for number in range(count)]


def _sizes_of(text: str) -> list[str]:
    lead, colon, dims = text.rpartition(":")
    if not re.search(r"\dx\d", dims):
        return [text]  # 1,3,224,224 is one shape, and 784 as well
    return [f"{lead}{colon}{size}" for size in dims.split(",")]


def _observe(source: Source, given: ModelArguments, options: ModelOptions) -> Trace:
    from modelcli.observe import observe

    return observe(
        source, given.request, execution=options.execution, allow_real=options.allow_real
    )


def _show_one(out: Output, trace: Trace, *, show: Picture, title: str) -> None:
    from modelcli.feature_maps.flow import trace_rows
    from modelcli.views.shapes import shapes_body
    from modelcli.views.shapes_table import shapes_table

    rows = trace_rows(trace)
    notes = _notes(trace, rows)
    body: dict[str, Any] = {"inputs": _input_body(trace), "execution": trace.execution}
    if wants_data(out):
        body.update(shapes_body(rows))
    table = shapes_table(rows, notes=notes, width=terminal_width(), data=wants_data(out))
    show_rows(out, rows, table=table, body=body, show=show, title=title)


def _show_sizes(out: Output, traces: Sequence[Trace]) -> None:
    from modelcli.feature_maps.flow import trace_rows
    from modelcli.views.shapes_sizes import sizes_body, sizes_table

    columns = [trace_rows(trace) for trace in traces]
    labels = [", ".join(_show(record.shape) for record in trace.inputs) for trace in traces]
    notes = ["field: cells of the input that one cell sees"]
    out.result(sizes_body(labels, columns), sizes_table(labels, columns, notes=notes))


def _notes(trace: Trace, rows: Sequence[MapRow]) -> list[str]:
    inputs = ", ".join(
        f"{record.name}: {record.dtype} {_show(record.shape)} ({record.origin})"
        for record in trace.inputs
    )
    lines = [f"input   {inputs}"]
    if not rows and trace.failure is not None:
        return lines  # the error says where it ended
    if not rows:
        lines.append("note    no layer of this model changes a feature map")
        return lines
    differ = next((row.path for row in rows if row.field.differ), None)
    if differ is not None:
        lines.append(
            f"note    branches that see different extents meet before '{differ}': from there on "
            "the largest is shown"
        )
    lines.extend(f"note    {remark}" for remark in trace.remarks)
    return lines


def _show(shape: Sequence[int]) -> str:
    from modelcli.views.text import show_dims

    return show_dims(shape)


def _input_body(trace: Trace) -> list[dict[str, Any]]:
    return [dataclasses.asdict(record) for record in trace.inputs]


def _judge(source: Source, given: ModelArguments, trace: Trace) -> None:
    """Raise where the forward failed; where a layer refused its input, say what would work."""
    if trace.failure is None:
        return
    from modelcli.feature_maps.refused_call import explain_failure
    from modelcli.views.failure import describe_failure

    refused = explain_failure(source, given.request, trace.failure)
    raise RunFailedError(*(refused or describe_failure(trace)))


def _prove(
    out: Output, source: Source, given: ModelArguments, options: ModelOptions, trace: Trace
) -> None:
    from modelcli.feature_maps.proof import prove
    from modelcli.views.shapes_proof import proof_body, proof_table

    proof = prove(
        source,
        given.request,
        trace,
        execution=options.execution,
        allow_real=options.allow_real,
        report=out.detail,
    )
    out.result(proof_body(proof), proof_table(proof))
    if proof.wrong:
        raise RunFailedError(
            f"measured and computed fields differ at {', '.join(proof.wrong)}",
            "a weight of zero, or a function that looks at whole maps, can be the reason",
        )

"""``shapes`` of a model: from one observed pass, at one size or several, and proved."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcli.cli._output import Output
from modelcli.cli._shapes_common import Picture, show_rows, split_sizes
from modelcli.cli._target import ModelArguments, note_remarks, read_arguments
from modelcli.errors import RunFailedError, UsageError

if TYPE_CHECKING:
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
    for trace in traces:
        _judge(trace)


def _observe(source: Source, given: ModelArguments, options: ModelOptions) -> Trace:
    from modelcli.observe import observe

    return observe(
        source, given.request, execution=options.execution, allow_real=options.allow_real
    )


def _show_one(out: Output, trace: Trace, *, show: Picture, title: str) -> None:
    from modelcli.feature_maps.flow import trace_rows
    from modelcli.views.shapes import notes_on

    rows = trace_rows(trace)
    inputs = [dataclasses.asdict(record) for record in trace.inputs]
    body = {"inputs": inputs, "execution": trace.execution}
    show_rows(out, rows, body=body, notes=notes_on(trace, rows), show=show, title=title)


def _show_sizes(out: Output, traces: Sequence[Trace]) -> None:
    from modelcli.feature_maps.flow import trace_rows
    from modelcli.views.shapes_sizes import sizes_body, sizes_table
    from modelcli.views.text import show_dims

    columns = [trace_rows(trace) for trace in traces]
    labels = [", ".join(show_dims(record.shape) for record in trace.inputs) for trace in traces]
    notes = ["field: cells of the input that one cell sees"]
    out.result(sizes_body(labels, columns), sizes_table(labels, columns, notes=notes))


def _judge(trace: Trace) -> None:
    """Raise where the forward failed; where a layer refused its input, say what would work."""
    if trace.failure is None:
        return
    from modelcli.feature_maps.fitting import explain_refusal
    from modelcli.views.failure import describe_failure

    raise RunFailedError(*(explain_refusal(trace) or describe_failure(trace)))


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

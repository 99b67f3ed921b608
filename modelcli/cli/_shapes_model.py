"""``shapes`` of a model: from one observed pass, at one size or several, and proved."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelcli.cli._output import Output
from modelcli.cli._shapes_common import Picture, show_rows
from modelcli.cli._target import ModelArguments, note_remarks
from modelcli.errors import RunFailedError, UsageError

if TYPE_CHECKING:
    from modelcli.feature_maps.proof import Proof
    from modelcli.loading.types import Execution
    from modelcli.tracing.record import Trace


def show_model(
    out: Output,
    title: str,
    arguments: Sequence[ModelArguments],
    *,
    execution: Execution | None,
    allow_real: bool,
    show: Picture,
    prove: bool,
) -> None:
    """Show the feature maps of a model.

    ``arguments`` hold the model with its inputs, once for each size; ``title`` names a picture.

    Raises:
        RunFailedError: the forward raised, or a proof shows that a computed field is wrong.
        UsageError: several sizes are combined with what takes one.
    """
    if len(arguments) > 1 and (prove or show.explain or show.plot or show.path):
        raise UsageError(
            "several input sizes have a table only",
            "give one size for --explain, --plot, -o and --prove",
        )

    from modelcli.loading.find import find_source
    from modelcli.observe import observe

    source = find_source(arguments[0].target, arguments[0].model_kwargs)
    traces = [
        observe(source, given.request, execution=execution, allow_real=allow_real)
        for given in arguments
    ]
    note_remarks(out, source.remarks)
    if prove:
        from modelcli.feature_maps import proof

        found = proof.prove(
            source,
            arguments[0].request,
            traces[0],
            execution=execution,
            allow_real=allow_real,
            report=out.detail,
        )
        _show_proof(out, found)
    elif len(traces) > 1:
        _show_sizes(out, traces)
    else:
        _show_one(out, traces[0], show=show, title=title)
    for trace in traces:
        if trace.failure is not None:
            from modelcli.feature_maps.fitting import explain_refusal
            from modelcli.views.failure import describe_failure

            raise RunFailedError(*(explain_refusal(trace) or describe_failure(trace)))


def _show_one(out: Output, trace: Trace, *, show: Picture, title: str) -> None:
    from modelcli.feature_maps.flow import trace_rows
    from modelcli.views.shapes import notes_on

    rows = trace_rows(trace)
    inputs = [dataclasses.asdict(record) for record in trace.inputs]
    body = {"inputs": inputs, "execution": trace.execution}
    show_rows(out, rows, body=body, notes=notes_on(trace, rows), show=show, title=title)


def _show_sizes(out: Output, traces: Sequence[Trace]) -> None:
    from modelcli.feature_maps.flow import trace_rows
    from modelcli.views.shapes import sizes_body, sizes_table
    from modelcli.views.text import show_dims

    columns = [trace_rows(trace) for trace in traces]
    labels = [", ".join(show_dims(record.shape) for record in trace.inputs) for trace in traces]
    notes = ["field: cells of the input that one cell sees"]
    out.result(sizes_body(labels, columns), sizes_table(labels, columns, notes=notes))


def _show_proof(out: Output, proof: Proof) -> None:
    from modelcli.views.shapes_proof import proof_body, proof_table

    out.result(proof_body(proof), proof_table(proof))
    if proof.wrong:
        raise RunFailedError(
            f"measured and computed fields differ at {', '.join(proof.wrong)}",
            "a weight of zero, or a function that looks at whole maps, can be the reason",
        )

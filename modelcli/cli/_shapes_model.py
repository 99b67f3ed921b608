"""``shapes`` of a model: from one observed pass, at one size or several, and proved."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcli.cli._output import Output
from modelcli.cli._shapes_common import Picture, show_rows, terminal_width, wants_data
from modelcli.cli._target import ModelArguments, read_arguments
from modelcli.errors import RunFailedError, UsageError

if TYPE_CHECKING:
    from modelcli.feature_maps.proof import Claim, Key, Spans
    from modelcli.loading.source import Source
    from modelcli.loading.types import Execution
    from modelcli.tracing.record import Trace
    from modelcli.views.shapes import ShapeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What the command line says about how the model is run."""

    batch_size: int | None
    kwargs: Sequence[str]
    settings: Sequence[str]
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


def _notes(trace: Trace, rows: Sequence[ShapeRow]) -> list[str]:
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
    from modelcli.views.failure import describe_failure

    message, hint = describe_failure(trace)
    refused = _refused_by_formula(source, given, trace)
    if refused is not None:
        raise RunFailedError(*refused)
    raise RunFailedError(message, hint)


def _refused_by_formula(
    source: Source, given: ModelArguments, trace: Trace
) -> tuple[str, str] | None:
    """Return the arithmetic's own words on the call that failed, None where it has none."""
    from modelcli.feature_maps.of_call import layer_of
    from modelcli.feature_maps.refusal import ShapeError
    from modelcli.feature_maps.refused_call import find_refused_call
    from modelcli.loading.build import build
    from modelcli.loading.inputs import find_inputs

    failure = trace.failure
    if failure is None:
        return None
    model = build(source, execution="meta").eval()
    inputs = find_inputs(source, model, given.request)
    place, kind = failure.path, failure.node_type
    if failure.op:
        place, kind = ".".join(part for part in (place, failure.op) if part), failure.op
    call = find_refused_call(model, inputs.args, inputs.kwargs, path=place, type_name=kind)
    layer = layer_of(call) if call is not None else None
    if call is None or layer is None:
        return None
    try:
        layer.apply(call.input_shapes[0])
    except ShapeError as error:
        return error.message.replace(layer.label, _label(call.path, call.type), 1), error.hint
    return None


def _label(path: str, type_name: str) -> str:
    return f"'{path}'" if path == type_name else f"'{path}' ({type_name})"


def _prove(
    out: Output,
    source: Source,
    given: ModelArguments,
    options: ModelOptions,
    trace: Trace,
) -> None:
    from modelcli.feature_maps.proof import (
        claims,
        larger_input,
        proof_body,
        proof_table,
        verdict,
    )

    found = claims(trace)
    if not found:
        raise UsageError(
            "there is no receptive field to prove",
            "no layer of this model has a map whose cells stand for places of the input",
        )
    larger = larger_input(trace, found)
    if larger is not None:
        wider = _observe(source, _with_shape(given, trace, larger), options)
        if len(claims(wider)) >= len(found):
            trace, found = wider, claims(wider)
    out.detail("measuring on the real model: one backward pass for each row")
    measured = _measure(source, given, options, trace, found)
    shape = next(record.shape for record in trace.inputs if record.is_floating)
    table = proof_table(found, measured, input_shape=shape)
    out.result(proof_body(found, measured, input_shape=shape), table)
    wrong = [claim.path for claim in found if verdict(claim, measured) == "DIFFERS"]
    if wrong:
        raise RunFailedError(
            f"measured and computed fields differ at {', '.join(wrong)}",
            "a weight of zero, or a function that looks at whole maps, can be the reason",
        )


def _with_shape(given: ModelArguments, trace: Trace, shape: Sequence[int]) -> ModelArguments:
    specs = tuple(
        dataclasses.replace(record.spec(), shape=tuple(shape))
        if record.is_floating
        else record.spec()
        for record in trace.inputs
    )
    request = dataclasses.replace(given.request, specs=specs)
    return dataclasses.replace(given, request=request)


def _measure(
    source: Source,
    given: ModelArguments,
    options: ModelOptions,
    trace: Trace,
    found: Sequence[Claim],
) -> Mapping[Key, Spans]:
    from modelcli.feature_maps.measure import measure
    from modelcli.isolation import preserved_state
    from modelcli.loading.build import DEFAULT_GUARD_BYTES, build
    from modelcli.loading.inputs import find_inputs

    with preserved_state():
        model = build(
            source,
            execution="real",
            seed=0,
            guard_bytes=None if options.allow_real else DEFAULT_GUARD_BYTES,
        )
        shape = next(r.shape for r in trace.inputs if r.is_floating)
        request = _with_shape(given, trace, shape).request
        inputs = find_inputs(source, model, request)
        deep = max(sum(extent or 0 for extent in claim.extents) for claim in found) > 4000
        reached = measure(
            model,
            inputs.args,
            inputs.kwargs,
            [claim.key for claim in found],
            dims=len(found[0].cell),
            precise=deep,
        )
    return {key: one.spans for key, one in reached.items()}

"""Receptive fields proved: what the arithmetic claims, beside what gradients on the model reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from modelcli.errors import UsageError
from modelcli.feature_maps.field import Field, Place
from modelcli.feature_maps.flow import trace_rows
from modelcli.feature_maps.record import LayerResult, Shape
from modelcli.feature_maps.row import MapRow
from modelcli.tracing.record import Call, Trace

if TYPE_CHECKING:
    from modelcli.feature_maps.measure import Key, Spans
    from modelcli.loading.source import Source
    from modelcli.loading.types import Execution, InputRequest

MOST_CLAIMS = 8
LARGEST_INPUT_NUMEL = 2_000_000  # how far an input is enlarged so that no border cuts a field off


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the arithmetic says of the cell in the middle of one layer's output.

    Attributes:
        key: how the layer is found again: module or op, its path or name, its turn.
        spans: first and last input cell that the cell sees, borders cut off, if they ``cut`` it.
    """

    key: Key
    row: MapRow
    cell: tuple[int, ...]
    spans: Spans
    cut: bool


def claims(trace: Trace) -> tuple[Claim, ...]:
    """Return what can be measured: the last map of each size, the deepest ones first kept."""
    turns = _turns(trace.calls)
    last: dict[Shape, MapRow] = {}
    for row in trace_rows(trace):
        if _stands(row.field) and not _is_global(row.result):
            last[row.result.output_shape[-len(row.field.sizes) :]] = row
    rows = sorted(last.values(), key=lambda row: row.index)[-MOST_CLAIMS:]
    return tuple(_claim(row, turns[row.index]) for row in rows)


def _is_global(result: LayerResult) -> bool:
    """Tell whether a layer takes in a whole map, whatever its size: there is nothing to measure."""
    return "adaptive" in result.type.lower() and all(axis.size_out == 1 for axis in result.axes)


def _turns(calls: Sequence[Call]) -> list[Key]:
    seen: dict[tuple[str, str], int] = {}
    keys: list[Key] = []
    for call in calls:
        name = call.path if call.kind == "module" else call.type
        turn = seen.get((call.kind, name), 0)
        seen[call.kind, name] = turn + 1
        keys.append((call.kind, name, turn))
    return keys


def _stands(field: Field) -> bool:
    """Tell whether the last axes of a tensor are the places of the input, in order."""
    tail = field.axes[len(field.axes) - len(field.sizes) :]
    return bool(field.sizes) and all(
        isinstance(axis, Place) and axis.source == source for source, axis in enumerate(tail)
    )


def _claim(row: MapRow, key: Key) -> Claim:
    field = row.field
    cell = tuple(size // 2 for size in row.result.output_shape[-len(field.sizes) :])
    whole = [field.span(source, place) for source, place in enumerate(cell)]
    spans = [
        None if span is None else (max(span[0], 0), min(span[1], size - 1))
        for span, size in zip(whole, field.sizes, strict=True)
    ]
    return Claim(key=key, row=row, cell=cell, spans=tuple(spans), cut=spans != whole)


def larger_input(trace: Trace, found: Sequence[Claim]) -> Shape | None:
    """Return an input at which no border cuts the fields off; None: the one there will do."""
    floating = [record for record in trace.inputs if record.is_floating]
    if len(floating) != 1 or not any(claim.cut for claim in found):
        return None
    shape = floating[0].shape
    deepest = found[-1].row
    dims = len(deepest.field.sizes)
    sizes = []
    for size, seen, jump in zip(shape[-dims:], deepest.receptive_field, deepest.jump, strict=True):
        step = max(1, round(jump or 1))
        needed = (seen or 1) + 3 * step
        sizes.append(max(size, -(-needed // step) * step))
    larger = (*shape[:-dims], *sizes)
    if larger == shape or prod(larger) > LARGEST_INPUT_NUMEL:
        return None
    return larger


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Claims beside what was measured on an input of ``input_shape``."""

    claims: tuple[Claim, ...]
    measured: Mapping[Key, Spans]
    input_shape: Shape

    @property
    def wrong(self) -> tuple[str, ...]:
        """The paths of layers whose measured field is not the computed one."""
        return tuple(c.row.path for c in self.claims if verdict(c, self.measured) == "DIFFERS")


def prove(
    source: Source,
    request: InputRequest,
    trace: Trace,
    *,
    execution: Execution | None,
    allow_real: bool,
    report: Callable[[str], None],
) -> Proof:
    """Measure receptive fields on the real model and put them beside the computed ones.

    Args:
        source: the model, observed with ``execution`` and ``allow_real``.
        request: its inputs; enlarged where a border would cut the fields off.
        trace: the pass that was observed with them.
        report: told before the model is built for real.

    Raises:
        UsageError: no layer's cells stand for places of the input.
    """
    from modelcli.observe import observe

    found = claims(trace)
    if not found:
        raise UsageError(
            "there is no receptive field to prove",
            "no layer of this model has a map whose cells stand for places of the input",
        )
    larger = larger_input(trace, found)
    if larger is not None:
        enlarged = _with_shape(request, trace, larger)
        wider = observe(source, enlarged, execution=execution, allow_real=allow_real)
        if len(claims(wider)) >= len(found):
            trace, found = wider, claims(wider)
    report("measuring on the real model: one backward pass for each row")
    shape = next(record.shape for record in trace.inputs if record.is_floating)
    request = _with_shape(request, trace, shape)
    measured = _measure(source, request, found, allow_real=allow_real)
    return Proof(claims=found, measured=measured, input_shape=shape)


def _with_shape(request: InputRequest, trace: Trace, shape: Shape) -> InputRequest:
    specs = tuple(
        replace(record.spec(), shape=tuple(shape)) if record.is_floating else record.spec()
        for record in trace.inputs
    )
    return replace(request, specs=specs)


def _measure(
    source: Source, request: InputRequest, found: Sequence[Claim], *, allow_real: bool
) -> Mapping[Key, Spans]:
    from modelcli.feature_maps.measure import measure
    from modelcli.isolation import preserved_state
    from modelcli.loading.build import DEFAULT_GUARD_BYTES, build
    from modelcli.loading.inputs import find_inputs

    with preserved_state():
        guard = None if allow_real else DEFAULT_GUARD_BYTES
        model = build(source, execution="real", seed=0, guard_bytes=guard)
        inputs = find_inputs(source, model, request)
        deep = max(sum(seen or 0 for seen in claim.row.receptive_field) for claim in found) > 4000
        keys, dims = [claim.key for claim in found], len(found[0].cell)
        return measure(model, inputs.args, inputs.kwargs, keys, dims=dims, precise=deep)


def verdict(claim: Claim, measured: Mapping[Key, Spans]) -> str:
    """Write whether a claim was confirmed."""
    spans = measured.get(claim.key)
    if spans is None:
        return "not reached"
    if claim.cut:  # zeros of a padding may end the field before the input's border does
        return "within the border" if _inside(spans, claim.spans) else "DIFFERS"
    return "same" if spans == claim.spans else "DIFFERS"


def _inside(measured: Spans, computed: Spans) -> bool:
    return all(
        mine is None or (theirs is not None and theirs[0] <= mine[0] and mine[1] <= theirs[1])
        for mine, theirs in zip(measured, computed, strict=True)
    )

"""From the notes of one pass to its trace."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from modelcli.identity import TensorKeys, count_unique
from modelcli.loading.types import InputRecord
from modelcli.modules import parameters_of
from modelcli.tracing.counting import counts_all
from modelcli.tracing.notes import Observation
from modelcli.tracing.record import Coverage, Node, Tensor, Totals, Trace
from modelcli.tracing.rows import Rows
from modelcli.tracing.survey import find_ties, survey, unmasked_elements


def make_trace(
    model: nn.Module,
    seen: Observation,
    inputs: tuple[InputRecord, ...],
    *,
    execution: str,
    mode: str,
) -> Trace:
    """Put one observation into records.

    Args:
        model: the module that ran.
        seen: what was noted of it.
        inputs: what went into it.
        execution: how it ran: ``meta``, ``fake`` or ``real``.
        mode: ``eval`` or ``train``.
    """
    key_of = TensorKeys()
    rows = Rows(seen.tree, seen.used, key_of)
    if seen.error is None:
        seen.tree.add_declared()
    nodes = rows.make()
    tensors = survey(model, seen.used, key_of)
    totals = _sum_up(model, nodes, tensors, seen, rows)
    return Trace(
        model_type=nodes[0].type,
        execution=execution,
        mode=mode,
        inputs=inputs,
        output_shapes=nodes[0].output_shapes,
        nodes=nodes,
        calls=seen.make_calls(),
        scopes=seen.make_scopes(),
        outputs=seen.outputs,
        tensors=tensors,
        totals=totals,
        coverage=Coverage(
            counted=seen.counted,
            free=seen.free,
            uncounted=dict(seen.uncounted),
            reasons=dict(seen.reasons),
        ),
        ties=find_ties(tensors),
        failure=seen.failure if seen.error is not None else None,
        remarks=_remark_on(seen, tensors),
    )


def _sum_up(
    model: nn.Module,
    nodes: Sequence[Node],
    tensors: Sequence[Tensor],
    seen: Observation,
    rows: Rows,
) -> Totals:
    own = [t for t in tensors if t.tied_to is None]
    used_names = {t.tied_to or t.name for t in tensors if t.executed}
    parameters = [t for t in own if t.kind == "parameter"]
    buffers = [t for t in own if t.kind == "buffer"]
    params = sum(t.numel for t in parameters) + rows.packed_params
    trainable = sum(t.numel for t in parameters if t.trainable)
    return Totals(
        params=params,
        trainable_params=trainable,
        frozen_params=params - trainable,
        executed_params=rows.packed_params
        + sum(t.numel for t in parameters if t.name in used_names),
        buffers=sum(t.numel for t in buffers),
        param_bytes=rows.packed_bytes + sum(t.nbytes for t in parameters),
        buffer_bytes=sum(t.nbytes for t in buffers),
        macs=nodes[0].macs,
        flops=nodes[0].flops,
        backward_flops=nodes[0].backward_flops if seen.backward_ran else None,
        unmasked_params=unmasked_elements(model, params),
        packed_params=rows.packed_params,
        other_flops=nodes[0].other_flops if counts_all() else None,
    )


def _remark_on(seen: Observation, tensors: Sequence[Tensor]) -> tuple[str, ...]:
    remarks: list[str] = []
    if seen.tree.unregistered:
        found = seen.tree.unregistered.values()
        params = count_unique(p for module in found for p in parameters_of(module))
        remarks.append(
            f"modules ran that no parent registers (kept in a plain list or dict?): {len(found)}, "
            f"with {params:,} parameters that are in no total and in no state_dict"
        )
    if any(t.kind == "parameter" and not t.shape and t.numel == 0 for t in tensors):
        remarks.append("some lazy layers never saw an input: their parameters have no size yet")
    return tuple(remarks)

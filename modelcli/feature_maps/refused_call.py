"""A forward that stopped at a layer: what its formula says of the input that it refused."""

from __future__ import annotations

from modelcli.feature_maps.fitting import what_fits
from modelcli.feature_maps.of_call import layer_of
from modelcli.feature_maps.refusal import ShapeError
from modelcli.tracing.record import Trace


def explain_refusal(trace: Trace) -> tuple[str, str] | None:
    """Return the formula's own message and hint on the call that failed, None where it has none."""
    call = trace.failure.call if trace.failure is not None else None
    layer = layer_of(call, dense=True) if call is not None else None
    if call is None or layer is None:
        return None
    try:
        layer.apply(call.input_shapes[0])
    except ShapeError as error:
        hint = what_fits(trace) or error.hint
        label = f"'{call.path}'" if call.path == call.type else f"'{call.path}' ({call.type})"
        return error.message.replace(layer.label, label, 1), hint
    return None

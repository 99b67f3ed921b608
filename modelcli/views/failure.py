"""A forward that raised: what happened and where, and what to try."""

from __future__ import annotations

from typing import Any

from modelcli.tracing.record import Failure, Trace
from modelcli.tracing.unbatched import lacks_batch
from modelcli.views.text import show_shapes


def describe_failure(trace: Trace) -> tuple[str, str]:
    """Return the two lines for a forward that raised: what and where, and what to try.

    The trace must hold a failure.
    """
    from modelcli.feature_maps.fitting import what_fits  # a forward that runs needs none of it

    failure = trace.failure
    assert failure is not None
    where = f"'{failure.path}' ({failure.node_type})" if failure.path else trace.model_type
    if failure.op:
        where += f", in {failure.op}"
    shapes = show_shapes(failure.input_shapes) if failure.input_shapes else "no tensor"
    message = f"forward failed in {where} on {shapes}: {failure.type}: {failure.message}"
    fits = what_fits(trace)
    if fits is not None:
        return message, fits
    if lacks_batch(trace, failure.message.lower()):
        return message, _BATCH_HINT
    return message, suggest_fix(failure)


_BATCH_HINT = "is the batch dimension missing? x.unsqueeze(0) adds it; --input takes it as 1x..."


def suggest_fix(failure: Failure) -> str:
    """Return what most likely fixes a failed forward."""
    text = failure.message.lower()
    if any(part in text for part in ("same dtype", "scalar type", "input type (", "dtype")):
        return "the input's dtype does not fit: --input takes one, as int64:1x128"
    if "indices" in text and ("long" in text or "int" in text):
        return "an embedding takes ids: --input int64:1x16"
    if "missing" in text and "argument" in text:
        return "give every input of forward: --input NAME:SHAPE, --kwarg KEY=VALUE"
    if failure.type in ("AttributeError", "NameError", "SystemExit"):
        return "no input can fix that: look at the code of that forward"
    return "the rows above ran; give other sizes with --input, or look at that layer's arguments"


def error_body(failure: Failure | None) -> dict[str, Any] | None:
    """Return what a JSON document says of a forward that raised; None where it did not."""
    if failure is None:
        return None
    return {
        "path": failure.path,
        "type": failure.type,
        "message": failure.message,
        "op": failure.op,
        "input_shapes": failure.input_shapes,
    }

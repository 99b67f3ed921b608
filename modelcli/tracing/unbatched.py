"""Whether a forward failed because its input lacks the batch dimension. Imports no torch."""

from __future__ import annotations

from modelcli.tracing.record import Trace
from modelcli.tracing.vocabulary import convolution_dims

_WORDS = (
    "expected 2d or 3d", "expected 3d or 4d", "expected 4d", "expected 3d (unbatched)",
    "self must be a matrix", "dimension out of range", "unbatched",
)  # fmt: skip


def lacks_batch(trace: Trace, text: str) -> bool:
    """Tell whether a failed forward took one sample for a batch.

    Args:
        trace: of the pass, up to the failure.
        text: what torch said, in lower case.
    """
    return _first_convolution_is_unbatched(trace) or any(word in text for word in _WORDS)


def _first_convolution_is_unbatched(trace: Trace) -> bool:
    for call in trace.calls:
        ndim = convolution_dims(call.base)
        if ndim is not None and call.input_shapes:
            return len(call.input_shapes[0]) == ndim + 1
    return False

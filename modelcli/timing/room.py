"""Whether a batch can fit at all: the least memory that a pass needs. Imports no torch."""

from __future__ import annotations

from modelcli.errors import UsageError
from modelcli.timing.traffic import call_bytes
from modelcli.tracing.record import Trace


def check_room(
    trace: Trace, *, label: str, batch_size: int | None, free_bytes: int | None, training: bool
) -> None:
    """Refuse a batch that certainly does not fit, before it takes the memory of the machine.

    The least that a pass needs are the weights, in training their gradients too, and the inputs
    and outputs of its largest call. A pass may need more: what passes here may still not fit.

    Args:
        trace: of the pass.
        label: of the model, for messages.
        batch_size: of the inputs; None where they have none.
        free_bytes: what the device has left; None where it does not say.
        training: whether gradients are kept.

    Raises:
        UsageError: it does not fit; the batch that could is named.
    """
    if free_bytes is None:
        return
    weights = trace.totals.param_bytes * (2 if training else 1) + trace.totals.buffer_bytes
    largest = max((call_bytes(call, trace) for call in trace.calls), default=0)
    if weights + largest <= free_bytes:
        return
    needed = (
        f"at least {(weights + largest) / 1e9:,.1f} GB, and {free_bytes / 1e9:,.1f} GB are free"
    )
    if weights > free_bytes or batch_size is None or batch_size < 2:
        raise UsageError(f"'{label}' needs {needed}", "a device with more memory can run it")
    fits = max(1, int(batch_size * (free_bytes - weights) / largest))
    raise UsageError(
        f"a batch of {batch_size:,} of '{label}' needs {needed}",
        f"at most {fits:,} can fit: --batch-size {fits}",
    )


def out_of_memory(label: str, batch_size: int | None) -> UsageError:
    """Return what is told of a pass that ran out of memory."""
    size = "" if batch_size is None else f" with a batch of {batch_size:,}"
    half = None if batch_size is None or batch_size < 2 else batch_size // 2
    hint = "a device with more memory can run it" if half is None else f"try --batch-size {half}"
    return UsageError(f"'{label}' ran out of memory{size}", hint)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an exception, or what it came from, is about memory."""
    while error is not None:
        text = str(error).lower()
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and (
            "not enough memory" in text or "out of memory" in text
        ):
            return True
        error = error.__cause__
    return False

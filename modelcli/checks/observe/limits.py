"""What a check may run with values unasked, in time and memory. Imports no torch."""

from __future__ import annotations

from modelcli.checks.record import CannotRun
from modelcli.tracing.record import Trace

# What runs in a minute or two on two cores: a ViT-B, a VGG-19.
_MOST_PARAM_BYTES = 1_300_000_000
_MOST_MACS = 25_000_000_000
_MOST_ACTIVATION_BYTES = 3_000_000_000  # of one sample

# MACs of one sample: below the first a pass takes no time, above the last it is dear.
LIGHT_MACS = 30_000_000
HEAVY_MACS = 1_000_000_000


def require_affordable(trace: Trace, batch: int) -> None:
    """Check that a model is small enough to run with values.

    Args:
        trace: of a pass without values.
        batch: the samples of that pass.

    Raises:
        CannotRun: it is not; says what is too large.
    """
    samples = max(1, batch)
    memory = trace.totals.param_bytes + trace.totals.buffer_bytes
    made = sum(node.output_bytes for node in trace.nodes if node.kind != "parameter") // samples
    macs = trace.totals.macs // samples
    if memory > _MOST_PARAM_BYTES:
        raise CannotRun(f"too large to run with values: {memory / 1e9:.1f} GB of parameters")
    if macs > _MOST_MACS:
        raise CannotRun(f"too costly to run with values: {macs / 1e9:.0f} G MACs a sample")
    if made > _MOST_ACTIVATION_BYTES:
        raise CannotRun(
            f"too large to run with values: {made / 2e9:.1f} GB of activations a sample"
        )


def samples_to_train(macs: int) -> int:
    """Return how many samples the watched pass in train mode takes, from the MACs of one."""
    if macs < LIGHT_MACS:
        return 32
    return 4 if macs < HEAVY_MACS else 2


def rows_to_follow(batch: int, macs: int) -> tuple[int, ...]:
    """Return the output rows whose dependence on every sample is measured.

    Args:
        batch: the samples that go in.
        macs: of one sample.
    """
    if batch < 2:
        return ()
    # what mixes samples in one direction (a running sum) mostly reaches the later ones
    first = (0,) if macs < HEAVY_MACS else ()
    return (*first, batch - 1, batch)

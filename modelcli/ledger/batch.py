"""The law of the batch: every block's size is affine in the batch, so two passes tell any other.

The peak is not affine: it moves from the optimiser to the backward pass as the batch grows. So the
blocks are scaled, and the peak is looked for anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from modelcli.ledger.peak import peak_bytes
from modelcli.tracing.memory_record import Block, Ledger

# The batches that are observed. One sample is often treated otherwise; the last tells whether a
# block grows with the square of the batch, as similarities between all samples do.
FIRST, SECOND, CHECK = 2, 3, 5
_LARGEST = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLaw:
    """What two passes tell of every other batch.

    Attributes:
        ledger: of the batch ``FIRST``.
        slopes: bytes that each of its blocks grows by a sample.
    """

    ledger: Ledger
    slopes: tuple[int, ...]

    def at(self, batch: int) -> Ledger:
        """Return the ledger of a batch."""
        more = batch - FIRST
        blocks = (
            replace(block, nbytes=max(0, block.nbytes + slope * more)) if slope else block
            for block, slope in zip(self.ledger.blocks, self.slopes, strict=True)
        )
        return replace(self.ledger, blocks=tuple(blocks))

    def peak(self, batch: int, step: int | None, rounding: int = 1) -> int:
        """Return the peak of a batch in bytes."""
        return peak_bytes(self.at(batch), step, rounding)[0]

    @property
    def fixed_bytes(self) -> int:
        """What is there at a peak whatever the batch: the peak of a batch of none."""
        return self.peak(0, None)


def find_law(first: Ledger, second: Ledger, check: Ledger) -> BatchLaw | str:
    """Return the law of passes at the batches ``FIRST`` and ``SECOND``, or why there is none.

    Every block must have its twin: made and let go at the same place, by the same operation.

    Args:
        check: of the batch ``CHECK``, which the law must give.
    """
    for batch, other in ((SECOND, second), (CHECK, check)):
        if len(first.blocks) != len(other.blocks):
            counts = f"{len(first.blocks):,} blocks at batch {FIRST}, {len(other.blocks):,}"
            return f"{counts} at batch {batch}"
        for a, b in zip(first.blocks, other.blocks, strict=True):
            if _story(a) != _story(b):
                return f"'{a.op}'{_in(a)} goes another way at batch {batch} than at {FIRST}"
    slopes = tuple(
        (b.nbytes - a.nbytes) // (SECOND - FIRST)
        for a, b in zip(first.blocks, second.blocks, strict=True)
    )
    for a, slope, b in zip(first.blocks, slopes, check.blocks, strict=True):
        if a.nbytes + slope * (CHECK - FIRST) != b.nbytes:
            return f"what '{a.op}'{_in(a)} makes does not grow in proportion to the batch"
    return BatchLaw(ledger=first, slopes=slopes)


def _in(block: Block) -> str:
    return f" in '{block.path}'" if block.path else ""


def _story(block: Block) -> tuple[object, ...]:
    return block.op, block.path, block.birth, block.death, block.kind


def largest_fitting(fits: Callable[[int], bool], *, most: int = _LARGEST) -> int:
    """Return the largest batch that fits, 0 if not even one sample does.

    Args:
        fits: of a batch; what fits also fits with fewer samples.
        most: where to stop.
    """
    low, high = 0, 1
    while high < most and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low

"""Whether a model fits a device, and with what allowance for what cannot be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelcli.ledger.allocator import needed_bytes
from modelcli.ledger.peak import peak_bytes
from modelcli.tracing.memory_record import Ledger

Verdict = Literal["fits", "tight", "does not fit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The verdict.

    Attributes:
        budget_bytes: memory of the device.
        overhead_bytes: what is set aside for what no pass on meta can see.
        needed_bytes: what is reserved at most, with the overhead; where that is more than there
            is, the tensors with the overhead.
        spare_bytes: what is left of the budget; below 0 where it lacks.
    """

    verdict: Verdict
    budget_bytes: int
    overhead_bytes: int
    needed_bytes: int
    spare_bytes: int


def judge(ledger: Ledger, *, device: str, budget_bytes: int, overhead_bytes: int) -> Fit:
    """Compare a need with a budget.

    It *fits* if the allocator gets along with what the overhead leaves, giving back what is free
    where it must, as CUDA's does. It is *tight* if the tensors alone fit the budget: it may run
    out by fragments or by what is not seen.
    """
    tensors = peak_bytes(ledger)[0]
    left = budget_bytes - overhead_bytes
    if device == "cuda":
        reserved = needed_bytes(ledger, left)
    else:  # nothing keeps more than the tensors
        reserved = tensors if tensors <= left else None
    verdict: Verdict = "fits" if reserved is not None else "tight"
    if tensors > budget_bytes:
        verdict = "does not fit"
    needed = (tensors if reserved is None else reserved) + overhead_bytes
    return Fit(
        verdict=verdict,
        budget_bytes=budget_bytes,
        overhead_bytes=overhead_bytes,
        needed_bytes=needed,
        spare_bytes=budget_bytes - needed,
    )

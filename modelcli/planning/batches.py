"""The passes of a plan: at the batch that was asked for, and at those that tell the law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelcli.ledger.allocator import replay
from modelcli.ledger.batch import CHECK, FIRST, SECOND, BatchLaw, find_law, largest_fitting
from modelcli.ledger.fit import judge
from modelcli.ledger.peak import peak_bytes
from modelcli.planning.options import MemoryOptions
from modelcli.planning.step import Recorded
from modelcli.tracing.memory_record import Ledger

Pass = Callable[[int | None], Recorded]


@dataclass(slots=True)
class Largest:
    """The largest batch that fits, and how it was found."""

    law: BatchLaw | None
    reason: str
    batch: int


class Passes:
    """Makes passes when they are wanted.

    Args:
        options: what is asked for.
        inference: makes one of inference, at a batch or at that of the inputs.
        training: makes steps of training; None where nothing is trained.
    """

    def __init__(self, options: MemoryOptions, inference: Pass, training: Pass | None) -> None:
        self.options = options
        self._inference = inference if options.mode != "train" else None
        self._training = training

    @property
    def main(self) -> Pass:
        """The pass that the verdict is of: training if there is any."""
        found = self._training or self._inference
        assert found is not None  # one of the two was asked for
        return found

    def learn(self, batch: int | None) -> Recorded | None:
        """Return steps of training, if they were asked for."""
        return self._training(batch) if self._training is not None else None

    def infer(self, batch: int | None) -> Recorded | None:
        """Return a pass of inference, if it was asked for."""
        return self._inference(batch) if self._inference is not None else None

    def fits(self, ledger: Ledger, budget_bytes: int) -> bool:
        """Tell whether a ledger fits a budget."""
        fit = judge(
            ledger,
            device=self.options.device,
            budget_bytes=budget_bytes,
            overhead_bytes=self.options.overhead_bytes,
        )
        return fit.verdict == "fits"

    def largest(self, budget_bytes: int) -> Largest:
        """Find the largest batch that fits a budget: by the law, or else by passes."""
        found = self.law()
        if isinstance(found, BatchLaw):
            return Largest(found, "", self.largest_by(found, budget_bytes))
        run = self.main

        def fits(batch: int) -> bool:
            recorded = run(batch)
            return recorded.error is None and self.fits(recorded.ledger, budget_bytes)

        return Largest(None, found, largest_fitting(fits))

    def largest_by(self, law: BatchLaw, budget_bytes: int) -> int:
        """Return the largest batch that fits a budget by a law; 0 if none does."""
        return largest_fitting(lambda batch: self.fits(law.at(batch), budget_bytes))

    def law(self) -> BatchLaw | str:
        """Return the law of the batch, or why there is none."""
        run = self.main
        ledgers = []
        for batch in (FIRST, SECOND, CHECK):
            recorded = run(batch)
            if recorded.error is not None:
                return f"it fails at a batch of {batch}"
            ledgers.append(recorded.ledger)
        return find_law(*ledgers)


def reserved_bytes(ledger: Ledger, device: str) -> int:
    """Return what the device's allocator holds in the end; a CPU has none that keeps more."""
    return replay(ledger).reserved_bytes if device == "cuda" else peak_bytes(ledger)[0]

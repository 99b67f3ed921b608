"""What a run tells whoever follows it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelcli.training.run.loop import Loop
    from modelcli.training.run.measure import Score
    from modelcli.training.run.watch import Watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What is known at a log step.

    Attributes:
        step: optimiser steps taken.
        loss: mean over the steps since the point before.
        accuracy: share of right labels in the last batch, None for values.
        lr: learning rate of the step.
        samples_per_s: since the point before.
        elapsed_s: time spent training so far.
        epochs: passes over the samples of the whole run; 0 of fresh samples.
    """

    step: int
    steps: int
    loss: float
    accuracy: float | None
    lr: float
    samples_per_s: float
    elapsed_s: float
    epochs: float = 0.0


class Observer:
    """Follows a run. Every method does nothing; override those that you need."""

    # what it is told, in the order in which it happens

    def point(self, point: Point) -> None:
        """A log step was reached."""

    def tick(self, step: int) -> None:
        """Some time has passed and ``step`` steps were taken; at most a few times a second."""

    def detail(self, text: str) -> None:
        """Something that only a verbose run says."""

    def note(self, text: str) -> None:
        """Something worth knowing."""

    def watched(self, rows: list[Watched]) -> None:
        """The parameters after an epoch; only with ``train.watch``."""

    def scored(self, epoch: int, score: Score) -> None:
        """The held-out samples were measured after an epoch."""

    # when it looks by itself, between two steps

    def next_stop(self, step: int) -> int | None:
        """Return the next step after this one at which to call :meth:`at`; None for no step."""
        return None

    def at(self, step: int, loop: Loop) -> None:
        """A step is complete; called at every stop, whether it was asked for or not."""

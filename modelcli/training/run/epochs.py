"""Which pass over the samples a step belongs to."""

from __future__ import annotations

import math

from modelcli.training.run.prepare import Run


class Epochs:
    """The passes of a run; fresh samples have none, and are counted in log steps.

    Args:
        run: whose samples they go over.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def exist(self) -> bool:
        """Whether there are passes over the samples to finish."""
        return not self._run.config.train.overfit and self._run.data.draw is None

    @property
    def _steps(self) -> float:
        if not self.exist:
            return float(self._run.plan().log_every)
        return max(1.0, self._run.steps_per_epoch)

    def end(self, step: int) -> int:
        """Return the last step of the pass that the step after this one belongs to."""
        size = self._steps
        end = math.ceil(size * (math.floor(step / size + 1e-9) + 1) - 1e-9)
        return min(self._run.steps, end)

    def number(self, step: int) -> int:
        """Return how many passes are over after a step, 1 at least; 0 where there are none."""
        return max(1, math.floor(step / self._steps + 1e-9)) if self.exist else 0

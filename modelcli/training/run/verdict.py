"""What a run came to, judged: learned, learning, nothing, diverged or overfitted.

The rules and their limits were tuned on runs whose outcome is known. What there is to learn is the
trivial answer's loss less the floor; a gain is the share of it that was learned. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_LEARNED = 0.9  # a gain
_NOTHING = 0.05  # a gain
_GAP = 0.3  # between the gain on what was learned from and the one held out
_DIVERGED_TIMES = 3.0  # of the larger of the trivial and the first loss
_TINY_SPAN = 0.05  # of the trivial loss: a floor so near to it is an accident of the sample
_FALLING = 0.02  # of the logarithm of the loss, over half of a run
_NEAR_BEST = 0.02  # of the accuracy that is the best there is


class Verdict(StrEnum):
    """What came of a run."""

    LEARNED = "learned"
    LEARNING = "learning"
    NOTHING = "nothing"
    DIVERGED = "diverged"
    OVERFITTED = "overfitted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on.

    Attributes:
        finite: no loss and no weight stopped being finite.
        trivial: loss of the best constant answer.
        floor: loss of the true function, 0 where it is not known.
        first: loss of the first step.
        points: step and loss along the run.
        held_out: loss on samples that were not learned from, in evaluation mode.
        held_out_samples: how many those are.
        trained: the same on samples that were learned from; None where they are fresh.
        error: standard error of ``trivial - held_out``.
        accuracy: on the held-out samples, None for values.
        chance: accuracy of the best constant answer.
        best_accuracy: of the best possible classifier, None where it is not known.
        shape: share of the targets' variance that the outputs explain but for scale and shift of
            each, before and after; None for labels.
        fitted: of a run on one batch, whether it was fitted; None of other runs.
        without_gradient: trained tensors that the last step gave no gradient, or zeros.
        tensors: how many are trained.
    """

    finite: bool
    trivial: float
    floor: float = 0.0
    first: float = math.nan
    points: Sequence[tuple[int, float]] = ()
    held_out: float = math.nan
    held_out_samples: int = 0
    trained: float | None = None
    error: float = 0.0
    accuracy: float | None = None
    chance: float | None = None
    best_accuracy: float | None = None
    shape: tuple[float, float] | None = None
    fitted: bool | None = None
    without_gradient: tuple[str, ...] = ()
    tensors: int = 0

    @property
    def span(self) -> float:
        """What there is to learn, in units of the loss."""
        span = self.trivial - self._floor
        return span if span > 0 else max(abs(self.trivial), 1e-12)

    @property
    def _floor(self) -> float:
        near = self.trivial - self.floor < _TINY_SPAN * abs(self.trivial)
        return 0.0 if near else self.floor

    @property
    def gain(self) -> float:
        """The share of what there is to learn that holds on other samples."""
        return (self.trivial - self.held_out) / self.span

    @property
    def trained_gain(self) -> float:
        """The share that was learned of the samples themselves."""
        last = self.points[-1][1] if self.points else math.nan
        return (self.trivial - (last if self.trained is None else self.trained)) / self.span

    @property
    def fall(self) -> float:
        """How far the loss of training fell from its first quarter to its last, in spans."""
        values = [loss for _, loss in self.points]
        quarter = max(1, len(values) // 4)
        if not values:
            return 0.0
        return (sum(values[:quarter]) - sum(values[-quarter:])) / quarter / self.span

    @property
    def trend(self) -> tuple[float, float]:
        """Slope of the loss's logarithm over the second half of the run, and its t value."""
        return trend(second_half(self.points), self._floor)

    @property
    def whole_trend(self) -> tuple[float, float]:
        """The same over the whole run."""
        return trend(_after_first(self.points), self._floor)


def _after_first(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    return [(step, loss) for step, loss in points if step > 1]


def second_half(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """Return the second half of a curve, or all of it but the first step where it is short."""
    kept = _after_first(points)
    return kept[len(kept) // 2 :] if len(kept) >= 8 else kept


def trend(points: Sequence[tuple[int, float]], floor: float) -> tuple[float, float]:
    """Return the slope of log(loss - floor) along a curve, and its t value.

    Args:
        points: step and loss.
        floor: what the loss cannot fall below.

    Returns:
        Change of the logarithm over one more such curve, by least squares; 0 of too few points.
    """
    kept = [(step, loss) for step, loss in points if math.isfinite(loss)]
    if len(kept) < 3:
        return 0.0, 0.0
    least = 1e-3 * max(1e-12, abs(kept[0][1] - floor))
    logs = [math.log(max(loss - floor, least)) for _, loss in kept]
    length = kept[-1][0] - kept[0][0]
    mean = sum(step for step, _ in kept) / len(kept)
    at = [(step - mean) / length for step, _ in kept]
    squares = sum(x * x for x in at)
    middle = sum(logs) / len(logs)
    slope = sum(x * y for x, y in zip(at, logs, strict=True)) / squares
    rest = sum((y - middle - slope * x) ** 2 for x, y in zip(at, logs, strict=True))
    error = math.sqrt(rest / max(1, len(logs) - 2) / squares) + 1e-12
    return slope, slope / error


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on a run."""
    if not evidence.finite or not math.isfinite(evidence.held_out) or not evidence.points:
        return Verdict.DIVERGED if not evidence.finite or evidence.points else Verdict.NOTHING
    if evidence.fitted is not None:
        if evidence.fitted:
            return Verdict.LEARNED
        return Verdict.LEARNING if evidence.trained_gain > _NOTHING else Verdict.NOTHING
    if _ran_away(evidence):
        return Verdict.DIVERGED
    if _is_overfitted(evidence):
        return Verdict.OVERFITTED
    if _is_learned(evidence):
        return Verdict.LEARNED
    return Verdict.LEARNING if _is_learning(evidence) else Verdict.NOTHING


def _ran_away(evidence: Evidence) -> bool:
    limit = _DIVERGED_TIMES * max(evidence.trivial, evidence.first)
    last = evidence.points[-1][1]
    return last > limit and (evidence.trained is None or evidence.trained > limit)


def _is_overfitted(evidence: Evidence) -> bool:
    if evidence.trained is None or evidence.trained_gain <= _NOTHING:
        return False
    gap = evidence.trained_gain - max(evidence.gain, 0.0)
    sure = evidence.trained_gain - evidence.gain > 3 * evidence.error / evidence.span
    return gap > _GAP and sure


def _is_learned(evidence: Evidence) -> bool:
    if evidence.gain >= _LEARNED:
        return True
    if _is_as_good_as_any(evidence):
        return True
    if evidence.shape is None:
        return False
    before, after = evidence.shape  # all is learned but a constant that the model does not have
    flat = evidence.trend[0] >= -0.05
    return after >= _LEARNED and after > before + 0.2 and evidence.fall > 0.02 and flat


def _is_as_good_as_any(evidence: Evidence) -> bool:
    """Tell whether nearly as many labels are right as can be, guessing being far below."""
    best, chance = evidence.best_accuracy, evidence.chance
    if evidence.accuracy is None or best is None or chance is None:
        return False
    return best > 3 * chance and evidence.accuracy >= best - _NEAR_BEST


def _is_learning(evidence: Evidence) -> bool:
    if evidence.gain > max(_NOTHING, 3 * evidence.error / evidence.span):
        return True
    samples = max(1, evidence.held_out_samples)
    if evidence.accuracy is not None and evidence.chance is not None:
        chance = evidence.chance
        sigma = math.sqrt(chance * (1 - chance) / samples)
        if evidence.accuracy > chance + 4 * sigma and evidence.accuracy > 1.2 * chance:
            return True
    if evidence.shape is not None and evidence.fall > 0.02:  # averages of batch norm settle, too
        before, after = evidence.shape
        if after > max(0.1, before + 0.1, 8 / samples):
            return True
    return is_falling(evidence) and (evidence.trend[1] < -4 or _is_coming_down(evidence))


def _is_coming_down(evidence: Evidence) -> bool:
    """Tell whether a loss that began above the trivial answer's is still on its way there.

    The second half alone is too noisy to say so where all of the run was slow.
    """
    above = evidence.gain < -3 * evidence.error / evidence.span
    slope, t = evidence.trend
    return above and slope < -_FALLING and t < -1 and evidence.whole_trend[1] < -6


def is_flat(evidence: Evidence) -> bool:
    """Tell whether the loss had stopped falling; a short or a noisy curve does not say so."""
    slope, t = evidence.trend
    may_fall = slope < -_FALLING and t < -1
    return (slope, t) != (0.0, 0.0) and not may_fall and not is_falling(evidence)


def is_falling(evidence: Evidence) -> bool:
    """Tell whether the loss was still on its way down when the run ended."""
    slope, t = evidence.trend
    last = evidence.points[-1][1] if evidence.points else math.nan
    if not last < evidence.first:
        return False
    return (slope < -_FALLING and t < -3) or _is_coming_down(evidence)

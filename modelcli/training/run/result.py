"""The result of a run: what was trained, what it learned, and how fast."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.identity import count_unique
from modelcli.loading.device import device_label, peak_memory_bytes
from modelcli.modules import parameters_of
from modelcli.training.data.language import Language
from modelcli.training.data.tensors import Data, Split
from modelcli.training.engine.step import Engine
from modelcli.training.objective import untrained_loss
from modelcli.training.run.evidence import gather_evidence
from modelcli.training.run.loop import Progress
from modelcli.training.run.measure import (
    Recovered,
    Score,
    evaluate,
    loss_floor,
    recover_linear,
)
from modelcli.training.run.observer import Point
from modelcli.training.run.prepare import Run
from modelcli.training.run.sweep import Sweep
from modelcli.training.run.symptoms import find_symptoms
from modelcli.training.run.throughput import flops_per_sample, measure_roofline
from modelcli.training.run.verdict import Evidence, Verdict, judge
from modelcli.training.run.watch import Watched

FITTED_SHARE = 0.01  # of its first value: a loss below counts as fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run came to.

    Attributes:
        target: the model.
        device: where it ran, for people.
        params: unique parameters; trainable_params is the part that is trained.
        expected_first_loss: of a model that knows nothing, and how that is derived.
        samples: to learn from; those that were drawn, where they were fresh at every step.
        floor: loss of the true function, None where that is not known.
        held_out: the score on samples that were not learned from.
        recovered: the linear map that was learned, where the task is one.
        flops_per_s: traced operations of forward and backward, over the time in steps.
        roofline_flops_per_s: what a large matrix product reached on the device.
        fitted: with ``overfit``, whether the one batch was fitted.
        points: the curve.
        watched: rows of every epoch that was watched.
        processes: that trained it together; parallel: how, None for one that nobody launched.
        peak_memory_bytes_by_rank: of each process; ``peak_memory_bytes`` is the most.
        diverged: the loss stopped being finite; ``last_loss`` is then what it was.
        sweep: what found the learning rate; None where that was given.
        language: what is known of the tokens; None of other data.
        verdict: what came of it, and the evidence that it rests on.
        symptoms: of a run that learned nothing, what is seen in the model, in words.
        pitfall: what is known of a registered model.
    """

    target: str
    device: str
    dtype: str
    seed: int
    engine: str
    params: int
    trainable_params: int
    steps: int
    planned_steps: int
    batch_size: int
    lr: float
    data: str
    data_description: str
    samples: int
    fresh: bool
    held_out_samples: int
    objective: str
    first_loss: float | None
    last_loss: float | None
    best_loss: float | None
    expected_first_loss: float
    expected_first_loss_is: str
    floor: float | None
    classes: int
    best_accuracy: float | None
    held_out: Score | None
    accuracy: float | None
    recovered: Recovered | None
    samples_per_s: float
    flops_per_s: float | None
    roofline_flops_per_s: float | None
    elapsed_s: float
    peak_memory_bytes: int
    points: tuple[Point, ...]
    watched: tuple[Watched, ...] = ()
    fitted: bool | None = None
    run_dir: str | None = None
    processes: int = 1
    parallel: str | None = None
    peak_memory_bytes_by_rank: tuple[int, ...] = ()
    diverged: bool = False
    language: Language | None = None
    sweep: Sweep | None = None
    verdict: Verdict | None = None
    evidence: Evidence | None = None
    symptoms: tuple[str, ...] = ()
    pitfall: str | None = None

    @property
    def steps_are_done(self) -> bool:
        """Whether the run came to its end, or as far as it could; else it was interrupted."""
        return self.diverged or self.steps == self.planned_steps


def make_record(
    run: Run,
    progress: Progress,
    *,
    engine: Engine,
    watched: list[Watched] | None = None,
    diverged: float | None = None,
    shape_before: float | None = None,
) -> Record:
    """Measure a trained model and put everything that is known of the run together.

    Args:
        shape_before: what ``measure_shape`` gave before the first step.
        diverged: the loss that was not finite, which ended the run; the model is then not measured.
    """
    config, data, learner = run.config, run.data, run.learner
    peaks = _peaks(run, engine)  # before anything is measured, which takes more
    measured = diverged is None
    held_out = _score_held_out(run) if measured else None
    expected, how = untrained_loss(learner.objective, _known(data).targets, data.facts.classes)
    points = progress.points
    floor = loss_floor(learner, data)
    fitted = (measured and _fitted(progress)) if config.train.overfit else None
    evidence = gather_evidence(
        run, progress, trivial=expected, floor=floor, held_out=held_out,
        shape_before=shape_before, fitted=fitted,
    ) if measured else Evidence(finite=False, trivial=expected)  # fmt: skip
    verdict = judge(evidence) if points or not measured else None
    samples_per_s = _steps_per_s(progress) * config.train.batch_size * config.train.accumulate
    flops = flops_per_sample(learner, data.train) if measured else None
    roofline = _roofline(run) if config.train.roofline and measured else None
    return Record(
        target=config.model.target,
        device=device_label(run.device),
        dtype=config.train.dtype if config.train.amp == "off" else f"amp {config.train.amp}",
        seed=config.train.seed,
        engine=engine.name,
        params=count_unique(parameters_of(run.trained.model)),
        trainable_params=count_unique(learner.params),
        steps=progress.step,
        planned_steps=run.steps,
        batch_size=config.train.batch_size,
        lr=config.optimizer.lr or 0.0,
        data=data.name,
        data_description=data.facts.description,
        samples=_samples(run, progress),
        fresh=data.draw is not None,
        held_out_samples=len(data.held_out) if data.held_out else 0,
        objective=learner.objective.name,
        first_loss=progress.first_loss if progress.first_loss is not None else diverged,
        last_loss=_last_loss(points) if measured else diverged,
        best_loss=progress.best_loss if points else diverged,
        expected_first_loss=expected,
        expected_first_loss_is=how,
        floor=floor,
        classes=data.facts.classes,
        best_accuracy=data.facts.best_accuracy,
        held_out=held_out,
        accuracy=held_out.accuracy if held_out else _last_accuracy(points) if measured else None,
        recovered=recover_linear(learner, data) if measured else None,
        samples_per_s=samples_per_s,
        flops_per_s=flops * samples_per_s if flops is not None else None,
        roofline_flops_per_s=roofline,
        elapsed_s=progress.elapsed_s,
        peak_memory_bytes=max(peaks),
        points=tuple(points),
        watched=tuple(watched or ()),
        fitted=fitted,
        run_dir=config.train.out or None,
        processes=run.world.size,
        parallel=run.world.parallel if run.world.launched else None,
        peak_memory_bytes_by_rank=tuple(peaks),
        diverged=not measured,
        language=data.facts.language,
        sweep=run.sweep,
        verdict=verdict,
        symptoms=find_symptoms(run) if verdict is Verdict.NOTHING else (),
        pitfall=run.trained.source.spec.pitfall if run.trained.source.spec else None,
        evidence=evidence,
    )


def _peaks(run: Run, engine: Engine) -> list[int]:
    """Return the peak memory of every process."""
    return run.world.gather(max(peak_memory_bytes(run.device), engine.peak_memory_bytes))


def _score_held_out(run: Run) -> Score | None:
    split = run.data.held_out
    if split is None:
        return None
    return evaluate(run.learner, run.data, split, batch_size=run.config.train.batch_size)


def _roofline(run: Run) -> float:
    return measure_roofline(run.device, dtype=run.config.train.dtype, amp=run.config.train.amp)


def _steps_per_s(progress: Progress) -> float:
    steps, seconds = progress.timed_steps, progress.timed_s
    if not seconds:  # it ended before its engine had settled
        steps, seconds = progress.step, progress.elapsed_s
    return steps / seconds if seconds else 0.0


def _samples(run: Run, progress: Progress) -> int:
    """Return how many different samples there were to learn from."""
    if run.data.draw is None:
        return len(run.data.train)
    return progress.step * run.config.train.batch_size * run.config.train.accumulate


def _known(data: Data) -> Split:
    """Return samples with their targets."""
    split = data.held_out or data.train
    if data.complete is None:
        return split
    return Split(inputs=split.inputs, targets=data.complete(split.inputs))


def _last_loss(points: list[Point]) -> float | None:
    return points[-1].loss if points else None


def _last_accuracy(points: list[Point]) -> float | None:
    return points[-1].accuracy if points else None


def _fitted(progress: Progress) -> bool:
    """Tell whether one batch was learned: all its labels right, or next to no loss left."""
    if not progress.points or not progress.first_loss:
        return False
    last = progress.points[-1]
    return last.accuracy == 1.0 or last.loss <= FITTED_SHARE * progress.first_loss

"""Measures what the verdict on a run rests on."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from modelcli.isolation import modes_kept
from modelcli.modules import named_parameters, switch_mode
from modelcli.training.data.tensors import Data, Split
from modelcli.training.distributed.parts import whole
from modelcli.training.engine.step import Learner
from modelcli.training.objective import float_tensors
from modelcli.training.run.loop import Progress
from modelcli.training.run.measure import Score, evaluate
from modelcli.training.run.prepare import Run
from modelcli.training.run.verdict import Evidence

_GROUPS = 32  # of held-out samples, whose losses give a standard error
_MOST_TRAINED = 2048  # samples that are measured again in evaluation mode


def measure_shape(run: Run) -> float | None:
    """Return the share of the targets' variance that outputs explain but for scale and shift.

    Returns:
        The squared correlation of outputs and targets, weighted by the targets' variances; None
        for labels, and where outputs and targets do not stand side by side.
    """
    learner, data = run.learner, run.data
    if data.kind == "labels" or data.complete is not None:
        return None
    split = data.held_out or data.train
    size = run.config.train.batch_size
    outputs: list[Tensor] = []
    with modes_kept(learner.model), torch.no_grad(), _random_state_kept(run):
        switch_mode(learner.model, False)
        for start in range(0, min(len(split), _MOST_TRAINED), size):
            batch = split.slice(start, min(start + size, len(split)))
            outputs.append(float_tensors(learner.forward(batch)[0])[0].flatten(1).double())
    given = torch.cat(outputs)
    wanted = split.targets[0][: len(given)].flatten(1).double()
    if given.shape != wanted.shape or not bool(torch.isfinite(given).all()):
        return None
    given, wanted = given - given.mean(0), wanted - wanted.mean(0)
    along = (given * wanted).sum(0) ** 2 / (given * given).sum(0).clamp_min(1e-30)
    total = float((wanted * wanted).sum())
    return float(along.sum()) / total if total else None


@contextlib.contextmanager
def _random_state_kept(run: Run) -> Iterator[None]:
    """Leave torch's generators as they are: measuring must not change what a seed gives."""
    devices = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def gather_evidence(
    run: Run,
    progress: Progress,
    *,
    trivial: float,
    floor: float | None,
    held_out: Score | None,
    shape_before: float | None,
    fitted: bool | None,
) -> Evidence:
    """Measure a trained model for its verdict.

    Args:
        trivial: the loss of a model that knows nothing.
        floor: loss of the true function, or None.
        held_out: the score on other samples, if there are any.
        shape_before: what ``measure_shape`` gave before training.
        fitted: of a run on one batch, whether it was fitted.
    """
    data, learner = run.data, run.learner
    size = run.config.train.batch_size
    split = data.held_out or data.train
    frequencies, language = _frequencies(data), data.facts.language
    if language is not None and learner.objective.is_plain_cross_entropy:
        trivial = language.trivial
    if frequencies is not None and learner.objective.name in ("cross_entropy", "nll"):
        trivial = min(trivial, _loss_of(frequencies, split.targets[0]))
    if held_out is None:
        held_out = evaluate(learner, data, split, batch_size=size)
    trained = None
    if data.draw is None and data.held_out is not None:
        some = data.train.slice(0, min(len(data.train), _MOST_TRAINED, 4 * len(data.held_out)))
        trained = evaluate(learner, data, some, batch_size=size).loss
    after = measure_shape(run) if shape_before is not None else None
    chance = 1 / data.facts.classes if data.facts.classes else None
    if chance is not None and frequencies is not None:
        chance = max(chance, float(frequencies.max()))
    if language is not None:
        chance = language.commonest
    lacking = _without_gradient(run)
    return Evidence(
        finite=True,
        trivial=trivial,
        floor=floor or 0.0,
        first=progress.first_loss if progress.first_loss is not None else math.nan,
        points=tuple((point.step, point.loss) for point in progress.points),
        held_out=held_out.loss,
        held_out_samples=held_out.samples,
        trained=trained,
        error=_standard_error(learner, data, split, size),
        accuracy=held_out.accuracy,
        chance=chance,
        best_accuracy=data.facts.best_accuracy,
        shape=None if shape_before is None or after is None else (shape_before, after),
        fitted=fitted,
        without_gradient=lacking,
        tensors=len(learner.params),
    )


def _frequencies(data: Data) -> Tensor | None:
    """Return how often each class stands among the samples of a fixed set, smoothed by one."""
    if data.kind != "labels" or data.draw is not None or data.complete is not None:
        return None
    if data.facts.language is not None:  # which has them exactly
        return None
    counts = torch.bincount(data.train.targets[0].flatten().cpu(), minlength=data.facts.classes)
    counts = counts.double() + 1
    return counts / counts.sum()


def _loss_of(frequencies: Tensor, labels: Tensor) -> float:
    return float(-frequencies.log()[labels.flatten().cpu()].mean())


def _standard_error(learner: Learner, data: Data, split: Split, size: int) -> float:
    """Return the standard error of ``trivial - held_out``, from the losses of some groups."""
    rows = min(len(split) // _GROUPS or 1, size)
    gains: list[float] = []
    for start in range(0, min(len(split), _GROUPS * rows) - rows + 1, rows):
        part = split.slice(start, start + rows)
        loss = evaluate(learner, data, part, batch_size=rows).loss
        gains.append(_trivial_of(learner, data, split, part) - loss)
    if len(gains) < 2:
        return 0.0
    return float(torch.tensor(gains, dtype=torch.float64).std()) / math.sqrt(len(gains))


def _trivial_of(learner: Learner, data: Data, split: Split, part: Split) -> float:
    """Return the loss of the mean of all targets on some; 0 of labels, whose constant is one."""
    if data.kind == "labels" or data.complete is not None:
        return 0.0
    losses = [
        learner.objective._one(all_.float().mean(0, keepdim=True).expand_as(y).to(y.dtype), y)
        for all_, y in zip(split.targets, part.targets, strict=True)
    ]
    return float(torch.stack(losses).mean())


def _without_gradient(run: Run) -> tuple[str, ...]:
    """Return the trained parameters that the last step gave no gradient, or zeros."""
    trained = {id(parameter) for parameter in run.learner.params}
    return tuple(
        name
        for name, parameter in named_parameters(run.trained.model)
        if id(parameter) in trained
        and parameter.numel()
        and (parameter.grad is None or not bool(whole((parameter.grad != 0).sum())))
    )

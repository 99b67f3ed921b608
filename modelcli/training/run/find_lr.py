"""A learning rate by a short sweep: rising step by step until the loss does.

Where the smoothed loss is lowest the rate is already near the edge of what the model stands, or,
for an easy task, anywhere: there is nothing left to learn. So the rate is taken at which nine
tenths of the fall have been reached, and a tenth of that is suggested, or a quarter for a run that
warms up. Without that a quarter is too much: LeNet under SGD stays at guessing for four seeds of
ten. With it a tenth is too little: a small GPT-2 is still learning when its steps are over. The
model, its optimiser and every random state are afterwards as they were.
Source: https://arxiv.org/abs/1506.01186 (Smith, section 3.3)
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from modelcli.errors import RunFailedError, UsageError
from modelcli.modules import switch_mode, tensors_of
from modelcli.training.data.of_step import StepBatches
from modelcli.training.data.tensors import Batches, derive_seed
from modelcli.training.engine.step import EagerEngine, NonFiniteLossError
from modelcli.training.optimizer import set_lr
from modelcli.training.run.prepare import Run
from modelcli.training.run.sweep import Sweep

STEPS = 100
_RATES = {"sgd": (1e-5, 100.0)}  # from the first step to the last
_USUAL_RATES = (1e-6, 1.0)  # of optimisers that scale their steps
_SMOOTHING = 0.8  # share of what came before in the smoothed loss
_TOO_HIGH = 3.0  # times the first loss: there is nothing to learn from going on
_LEAST_FALL = 0.01  # of the first loss: less is noise
_OF_THE_FALL = 0.9
_SHARE, _WARM_SHARE = 0.1, 0.25  # of the rate at which so much has been reached


def find_lr(run: Run) -> Sweep:
    """Sweep the learning rate on samples of its own, and give the run the one that it suggests.

    Raises:
        RunFailedError: no rate lowers the loss.
        UsageError: several processes train together.
    """
    if run.world.launched:
        raise UsageError(
            "--find-lr is for one process, and several train together here",
            "find the rate in one process, and give it as --lr",
        )
    low, high = _RATES.get(run.config.optimizer.name.lower(), _USUAL_RATES)
    rates = [low * (high / low) ** (step / (STEPS - 1)) for step in range(STEPS)]
    with _as_it_was(run):
        losses = _losses(run, rates)
    sweep = _suggest(run, rates[: len(losses)], losses)
    run.config = replace(run.config, optimizer=replace(run.config.optimizer, lr=sweep.suggested))
    run.sweep = sweep
    set_lr(run.learner.optimizer, sweep.suggested)
    return sweep


def _losses(run: Run, rates: list[float]) -> list[float]:
    """Return the smoothed loss at every rate, up to where it runs away."""
    config, learner = run.config, run.learner
    engine = EagerEngine(learner, check=True)
    seed = derive_seed(config.train.seed, 9)
    batches = Batches(
        run.data, batch_size=config.train.batch_size, seed=seed, same=config.train.overfit
    )
    count, mean, found = config.train.accumulate, 0.0, []
    torch.manual_seed(seed)
    switch_mode(learner.model, True)
    for step, rate in enumerate(rates):
        set_lr(learner.optimizer, rate)
        try:
            loss = float(engine.step(StepBatches(batches, step * count, count)))
        except NonFiniteLossError:
            break
        if not math.isfinite(loss):
            break
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        found.append(mean / (1 - _SMOOTHING ** (step + 1)))
        if found[-1] > _TOO_HIGH * abs(found[0]) + 1e-12 and found[0] >= 0:
            break
    return found


def _suggest(run: Run, rates: list[float], losses: list[float]) -> Sweep:
    target = run.config.model.target
    if not losses:
        raise RunFailedError(
            f"the first loss of '{target}' is not finite: there is no rate to be found",
            f"'modelcli check {target}' looks for why",
        )
    place = min(range(len(losses)), key=losses.__getitem__)
    fall = losses[0] - losses[place]
    if fall < _LEAST_FALL * max(abs(losses[0]), 1e-12):
        raise RunFailedError(
            f"no learning rate from {rates[0]:.0e} to {rates[-1]:.2g} lowers the loss of "
            f"'{target}': {losses[0]:.4g} at first, {losses[place]:.4g} at best",
            f"'modelcli check {target}' looks for why",
        )
    deep = losses[0] - _OF_THE_FALL * fall
    reached = next(rate for rate, loss in zip(rates, losses, strict=True) if loss <= deep)
    share = _WARM_SHARE if run.config.schedule.warmup else _SHARE
    return Sweep(
        rates=tuple(rates),
        losses=tuple(losses),
        reached=reached,
        share=share,
        suggested=float(f"{share * reached:.1e}"),
    )


@contextlib.contextmanager
def _as_it_was(run: Run) -> Iterator[None]:
    """Put weights, buffers, optimiser, scaler and random state back."""
    learner, device = run.learner, run.device
    held = list(tensors_of(run.trained.model))
    before = [tensor.detach().clone() for tensor in held]
    optimizer = copy.deepcopy(learner.optimizer.state_dict())
    scaler = copy.deepcopy(learner.scaler.state_dict()) if learner.scaler is not None else None
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(held, before, strict=True):
                tensor.copy_(value)
        learner.optimizer.load_state_dict(optimizer)
        if scaler is not None:
            learner.scaler.load_state_dict(scaler)
        for parameter in learner.params:
            parameter.grad = None

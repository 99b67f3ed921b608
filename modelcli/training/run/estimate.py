"""How long a run will take, from a pass of a few samples before it starts."""

from __future__ import annotations

import time

import torch

from modelcli.isolation import modes_kept
from modelcli.loading.device import synchronize
from modelcli.modules import switch_mode
from modelcli.training.data.tensors import Split
from modelcli.training.run.prepare import Run

_FEW, _MORE = 2, 16  # samples of the first pass, and of the second where the first was short
_SHORT_S = 0.1


def estimate_step_s(run: Run) -> float | None:
    """Return about how many seconds a step takes; None where a pass fails or ranks train together.

    Forward and backward run in evaluation mode, which costs the same and keeps the statistics of
    batch norm; gradients are dropped after. What a pass costs however few its samples are is not
    taken apart, so that the estimate is too large rather than too small for small models.
    """
    train = run.config.train
    if run.world.launched:
        return None
    try:
        rows, took = _FEW, _time(run, _FEW)
        if took < _SHORT_S:
            rows = min(_MORE, train.batch_size)
            took = min(_time(run, rows), _time(run, rows))
    except Exception:  # the run itself will say what is wrong
        return None
    finally:
        for parameter in run.learner.params:
            parameter.grad = None
    return took * train.accumulate * max(1.0, train.batch_size / rows)


def _time(run: Run, rows: int) -> float:
    data, learner = run.data, run.learner
    split = data.train.slice(0, rows)
    if data.complete is not None:
        split = Split(inputs=split.inputs, targets=data.complete(split.inputs))
    devices = [run.device] if run.device.type == "cuda" else []
    with modes_kept(learner.model), torch.random.fork_rng(devices=devices):
        switch_mode(learner.model, False)
        began = time.perf_counter()
        _, loss = learner.forward(split)
        loss.backward()  # type: ignore[no-untyped-call]
        synchronize(run.device)
        return time.perf_counter() - began

"""When a checkpoint of a run is due, what goes into it, and how a run continues from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch

from modelcli import __version__
from modelcli.errors import UsageError
from modelcli.training.run.loop import Progress
from modelcli.training.run.observer import Point
from modelcli.training.run.prepare import Run
from modelcli.training.store.checkpoint import FORMAT
from modelcli.training.store.run_dir import RunDir
from modelcli.training.store.state import (
    check_same_run,
    identify,
    load_model,
    load_optimizer,
    random_state,
    set_random_state,
)

CHECKPOINT_SHARE = 0.02  # of the time that checkpoints may take
CHECKPOINT_BYTES_PER_S = 400e6  # taken for granted until one was written and timed


class Saver:
    """Writes the checkpoints of a run, and reads them back.

    Args:
        run: what is trained.
        directory: where they are.
        note: is told what a person should know.

    Attributes:
        saved_step: of the last checkpoint that was written; -1 before the first.
    """

    def __init__(self, run: Run, directory: RunDir, note: Callable[[str], None]) -> None:
        self.saved_step = -1
        self._run = run
        self._directory = directory
        self._note = note
        self._saved_at = time.perf_counter()
        self._save_s = run.state_bytes / CHECKPOINT_BYTES_PER_S

    def next_stop(self, progress: Progress) -> int:
        """Return the next step at which to ask whether a checkpoint is due."""
        every = self._run.config.train.checkpoint_every
        if every is not None:
            return (progress.step // every + 1) * every
        # without a number the clock decides, and it is looked at about once a second
        rate = progress.timed_steps / progress.timed_s if progress.timed_s else 0.0
        return progress.step + max(1, int(rate))

    def is_due(self, step: int) -> bool:
        """Tell whether a checkpoint is to be written after a step."""
        every = self._run.config.train.checkpoint_every
        if every is not None:
            return step % every == 0
        waited = time.perf_counter() - self._saved_at
        return waited > max(1.0, self._save_s / CHECKPOINT_SHARE)

    def save(self, progress: Progress) -> None:
        """Write a checkpoint.

        Raises:
            RunFailedError: it cannot be written; the one before is as it was.
        """
        began = time.perf_counter()
        state = self._state(progress)
        self._directory.save(self._run.trained.model, state, step=progress.step)
        self.saved_step = progress.step
        self._saved_at = time.perf_counter()
        self._save_s = self._saved_at - began

    def _state(self, progress: Progress) -> dict[str, Any]:
        scaler = self._run.learner.scaler
        plain = {
            item.name: getattr(progress, item.name)
            for item in fields(Progress)
            if item.name != "points"
        }
        return {
            "format": FORMAT,
            "identity": identify(self._run.config, self._run.data.fingerprint),
            "modelcli": __version__,
            "torch": str(torch.__version__),
            "progress": plain,
            "optimizer": self._run.learner.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "random": random_state(self._run.device),
        }

    def restore(self) -> Progress:
        """Load the newest checkpoint, drop what was measured after it, and return how far it was.

        Raises:
            CheckpointError: there are files, and none can be read.
            UsageError: it is another run's, another version's, or further than this run goes.
        """
        checkpoint = self._directory.load()
        if checkpoint is None:
            self._directory.cut_metrics(0)
            self._note("there is no checkpoint yet: starting from the first step")
            return Progress()
        for damage in checkpoint.damaged:
            self._note(f"{damage}; going on from step {checkpoint.step}")
        state, run = checkpoint.state, self._run
        if state.get("format") != FORMAT:
            raise UsageError(
                f"'{self._directory.path}' has format {state.get('format')}, and this is {FORMAT}",
                f"it was written by modelcli {state.get('modelcli')}; continue it with that",
            )
        check_same_run(
            state["identity"],
            identify(run.config, run.data.fingerprint),
            directory=self._directory.path,
        )
        if checkpoint.step > run.steps:
            raise UsageError(
                f"'{self._directory.path}' has taken {checkpoint.step} steps, and this run is one "
                f"of {run.steps}",
                f"give more --steps than {checkpoint.step}, or choose another --out",
            )
        load_model(run, checkpoint.tensors)
        load_optimizer(run.learner.optimizer, state["optimizer"])
        if run.learner.scaler is not None and state["scaler"] is not None:
            run.learner.scaler.load_state_dict(state["scaler"])
        set_random_state(state["random"], run.device)
        lines = self._directory.cut_metrics(checkpoint.step)
        names = {item.name for item in fields(Point)}
        points = [Point(**line) for line in lines if set(line) == names]
        if not points:
            self._note("metrics.jsonl is empty or damaged: the curve begins here")
        done = checkpoint.step == run.steps
        self._note(
            f"finished already, at step {checkpoint.step}; more --steps would continue it"
            if done
            else f"continuing from step {checkpoint.step}"
        )
        return Progress(**{**state["progress"], "points": points})

"""When a checkpoint of a run is due, what goes into it, and how a run continues from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch

from modelcli import __version__
from modelcli.errors import UsageError
from modelcli.training.run.loop import Progress
from modelcli.training.run.observer import Point
from modelcli.training.run.prepare import Run
from modelcli.training.store.checkpoint import FORMAT, Checkpoint
from modelcli.training.store.run_dir import RunDir
from modelcli.training.store.source import source_checksums
from modelcli.training.store.state import (
    check_same_run,
    differences,
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
        allow_changed: continue although the code, the data or the configuration changed.

    Attributes:
        saved_step: of the last checkpoint that was written; -1 before the first.
    """

    def __init__(
        self,
        run: Run,
        directory: RunDir,
        note: Callable[[str], None],
        *,
        allow_changed: bool = False,
    ) -> None:
        self.saved_step = -1
        self._run = run
        self._directory = directory
        self._note = note
        self._allow_changed = allow_changed
        # once, before anybody edits what is loaded already
        sources = source_checksums(run.trained.model, run.trained.source.folder)
        self._identity = identify(run.config, run.data.fingerprint, sources)
        self._restored = Progress()
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
        with self._run.world.together():
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
            "identity": self._identity,
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
        with self._run.world.in_turn():
            checkpoint = self._directory.load(self._apply)
        if checkpoint is None:
            self._directory.cut_metrics(0)
            self._note("there is no checkpoint yet: starting from the first step")
            return Progress()
        for damage in checkpoint.damaged:
            self._note(f"{damage}; going on from step {checkpoint.step}")
        lines = self._directory.cut_metrics(checkpoint.step)
        names = {item.name for item in fields(Point)}
        points = [Point(**line) for line in lines if set(line) == names]
        if not points:
            self._note("metrics.jsonl is empty or damaged: the curve begins here")
        done = checkpoint.step == self._run.steps
        self._note(
            f"finished already, at step {checkpoint.step}; more --steps would continue it"
            if done
            else f"continuing from step {checkpoint.step}"
        )
        return replace(self._restored, points=points)

    def _apply(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint into use.

        Raises:
            UsageError: it is another run's, another version's, or further than this run goes.
            Exception: of any kind, it was tampered with.
        """
        state, run = checkpoint.state, self._run
        if state.get("format") != FORMAT:
            raise UsageError(
                f"'{self._directory.path}' has format {state.get('format')}, and this is {FORMAT}",
                f"it was written by modelcli {state.get('modelcli')}; continue it with that",
            )
        self._check_same(state["identity"], step=checkpoint.step)
        if checkpoint.step > run.steps:
            raise UsageError(
                f"'{self._directory.path}' has taken {checkpoint.step} steps, and this run is one "
                f"of {run.steps}",
                f"give more --steps than {checkpoint.step}, or choose another --out",
            )
        self._restored = _progress(state["progress"], checkpoint.step)
        load_model(run, checkpoint.tensors)
        load_optimizer(run.learner.optimizer, state["optimizer"])
        if run.learner.scaler is not None and state["scaler"] is not None:
            run.learner.scaler.load_state_dict(state["scaler"])
        set_random_state(state["random"], run.device)

    def _check_same(self, saved: Any, *, step: int) -> None:
        """Refuse another run, or note and record what changed where that is allowed."""
        if not isinstance(saved, dict) or not all(isinstance(v, str) for v in saved.values()):
            raise TypeError("its identity is no table of texts")
        if not self._allow_changed:
            check_same_run(saved, self._identity, directory=self._directory.path)
        for text in differences(saved, self._identity).values():
            self._note(f"changed since step {step}: {text}")
            self._directory.append_change(step, text)


def _progress(saved: Any, step: int) -> Progress:
    """Return how far a run was.

    Raises:
        ValueError: something of it is missing, too much, or no number.
    """
    kinds = {item.name for item in fields(Progress) if item.name != "points"}
    pending = saved["pending"]
    numbers = [value for name, value in saved.items() if name != "pending"]
    if saved["first_loss"] is None:
        numbers.remove(None)
    sound = all(isinstance(n, (int, float)) for n in (*numbers, *pending))
    if set(saved) != kinds or not sound or saved["step"] != step:
        raise ValueError("its progress is not one of this step")
    return Progress(**saved)

"""When a checkpoint of a run is due, what goes into it, and how a run continues from it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import torch

from modelcli import __version__
from modelcli.errors import RunFailedError, describe
from modelcli.training.distributed.failures import peer_error
from modelcli.training.run.loop import Progress
from modelcli.training.run.prepare import Run
from modelcli.training.store.checkpoint import FORMAT, MODEL
from modelcli.training.store.export import export_model
from modelcli.training.store.restoring import SHARDS_FORMAT, Restorer
from modelcli.training.store.run_dir import RunDir
from modelcli.training.store.source import source_checksums
from modelcli.training.store.state import identify, random_state

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
        if self._run.world.launched:
            with self._telling(f"the checkpoint of step {progress.step}"):
                self._write_shards(progress)
        else:
            state = self._state(progress)
            self._directory.save(self._run.trained.model, state, step=progress.step)
        self.saved_step = progress.step
        self._saved_at = time.perf_counter()
        self._save_s = self._saved_at - began

    def export(self, step: int) -> None:
        """Write ``model.safetensors``, which of one process is a part of the checkpoint.

        Raises:
            RunFailedError: it cannot be written.
        """
        if not self._run.world.launched:
            return
        with self._telling(MODEL), self._run.world.together():
            self._directory.replace_model(
                lambda path: export_model(
                    self._run.trained.model, path, step=step, world=self._run.world
                )
            )

    def _write_shards(self, progress: Progress) -> None:
        from modelcli.training.store.shard_state import shard_state, shard_tensors
        from modelcli.training.store.shards import write_shards

        run = self._run
        write_shards(
            self._directory.path,
            progress.step,
            shard_tensors(run),
            {**self._about(progress), "format": SHARDS_FORMAT, **shard_state(run)},
            {"random": random_state(run.device)},
            run.world,
        )

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            lost = peer_error(error, self._run.world, "saving")
            if lost is not None:
                raise lost from error
            raise RunFailedError(
                f"cannot write {what} in '{self._directory.path}': {describe(error)[:120]}",
                "what was written before is as it was",
            ) from error

    def _about(self, progress: Progress) -> dict[str, Any]:
        """Return what a checkpoint of any format says of its run."""
        plain = {
            item.name: getattr(progress, item.name)
            for item in fields(Progress)
            if item.name != "points"
        }
        return {
            "identity": self._identity,
            "modelcli": __version__,
            "torch": str(torch.__version__),
            "progress": plain,
        }

    def _state(self, progress: Progress) -> dict[str, Any]:
        scaler = self._run.learner.scaler
        return {
            "format": FORMAT,
            **self._about(progress),
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
        restorer = Restorer(
            self._run, self._directory, self._identity, self._note,
            allow_changed=self._allow_changed,
        )  # fmt: skip
        return restorer.restore()

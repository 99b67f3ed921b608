"""How a run continues: the newest whole checkpoint of either format, on any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import torch

from modelcli.errors import CheckpointError, ModelcliError, UsageError, describe
from modelcli.training.data.tensors import derive_seed
from modelcli.training.run.loop import Progress
from modelcli.training.run.observer import Point
from modelcli.training.run.prepare import Run
from modelcli.training.store.checkpoint import FORMAT, Checkpoint, newest_step
from modelcli.training.store.run_dir import RunDir
from modelcli.training.store.shard_folders import folder_of, steps_in
from modelcli.training.store.state import (
    check_same_run,
    differences,
    load_model,
    load_optimizer,
    set_random_state,
)

SHARDS_FORMAT = 3  # of a checkpoint that several processes have written
_Found = tuple[int, tuple[str, ...]]


class Restorer:
    """Takes a run's newest checkpoint into use.

    Args:
        run: what is trained.
        directory: where the checkpoints are.
        identity: of the run, as ``identify`` returned it.
        note: is told what a person should know.
        allow_changed: continue although the code, the data or the configuration changed.
    """

    def __init__(
        self,
        run: Run,
        directory: RunDir,
        identity: Mapping[str, str],
        note: Callable[[str], None],
        *,
        allow_changed: bool,
    ) -> None:
        self._run = run
        self._directory = directory
        self._identity = identity
        self._note = note
        self._allow_changed = allow_changed
        self._restored = Progress()

    def restore(self) -> Progress:
        """Load the newest checkpoint, drop what was measured after it, and return how far it was.

        Raises:
            CheckpointError: there are files, and none can be read.
            UsageError: it is another run's, another version's, or further than this run goes.
        """
        world = self._run.world
        found = self._load_newest()
        if found is None:
            self._directory.cut_metrics(0)
            self._note("there is no checkpoint yet: starting from the first step")
            return Progress()
        step, damaged = found
        for damage in damaged:
            self._note(f"{damage}; going on from step {step}")
        with world.in_turn():  # the first process cuts the file that the others read
            lines = self._directory.cut_metrics(step)
        names = {item.name for item in fields(Point)}
        points = [Point(**line) for line in lines if set(line) == names]
        if not points:
            self._note("metrics.jsonl is empty or damaged: the curve begins here")
        done = step == self._run.steps
        self._note(
            f"finished already, at step {step}; more --steps would continue it"
            if done
            else f"continuing from step {step}"
        )
        return replace(self._restored, points=world.decide(points))

    def _load_newest(self) -> _Found | None:
        """Take the newest checkpoint into use that can be read; None if there was never one."""
        world, path = self._run.world, self._directory.path
        shards, pair = world.decide((steps_in(path), newest_step(path)))
        damaged: list[str] = []
        tried_pair = False
        for step in [*shards, -1]:
            if not tried_pair and (pair > step or step < 0):
                tried_pair = True
                found = self._load_pair(damaged, is_last=not any(s < pair for s in shards))
                if found is not None:
                    return found
            if step >= 0 and self._load_shards(step, damaged):
                return step, tuple(damaged)
        if damaged:
            raise CheckpointError(
                f"no checkpoint in '{path}' can be read: {'; '.join(damaged)}",
                "start again in another --out; metrics.jsonl has what was measured",
            )
        return None

    def _load_pair(self, damaged: list[str], *, is_last: bool) -> _Found | None:
        """Take what one process has written into use."""
        checkpoint: Checkpoint | None = None
        try:
            with self._run.world.in_turn():
                checkpoint = self._directory.load(self._apply)
        except CheckpointError as error:
            if is_last and not damaged:
                raise
            damaged.append(error.message)
        if checkpoint is None:
            return None
        return checkpoint.step, (*damaged, *checkpoint.damaged)

    def _load_shards(self, step: int, damaged: list[str]) -> bool:
        """Take what several processes have written into use, all at once."""
        from modelcli.training.store.shard_state import read_into
        from modelcli.training.store.shards import DamagedError, read_own, read_state

        world, folder = self._run.world, folder_of(self._directory.path, step)
        damage = ""
        try:
            state = read_state(folder, world)
            self._accept(state, step, SHARDS_FORMAT)
            try:
                read_into(self._run, folder, state)
            except ModelcliError:
                raise
            except Exception as error:  # what was tampered with
                damage = f"'{folder.name}' is damaged ({describe(error)[:80]})"
            damage = next(filter(None, world.gather(damage)), "")
        except DamagedError as error:
            damage = str(error)
        if damage:
            damaged.append(damage)
            return False
        if state["world"] == world.size:
            set_random_state(read_own(folder, world.rank)["random"], self._run.device)
        else:
            self._reseed(step, state["world"])
        return True

    def _apply(self, checkpoint: Checkpoint) -> None:
        """Take what one process has written into use.

        Raises:
            UsageError: it is another run's, another version's, or further than this run goes.
            Exception: of any kind, it was tampered with.
        """
        state, run = checkpoint.state, self._run
        self._accept(state, checkpoint.step, FORMAT)
        load_model(run, checkpoint.tensors)
        load_optimizer(run.learner.optimizer, state["optimizer"])
        if run.learner.scaler is not None and state["scaler"] is not None:
            run.learner.scaler.load_state_dict(state["scaler"])
        if run.world.size == 1:
            set_random_state(state["random"], run.device)
        else:
            self._reseed(checkpoint.step, 1)

    def _reseed(self, step: int, there: int) -> None:
        """Seed what is drawn while the run goes on: the states saved are not as many."""
        world = self._run.world
        torch.manual_seed(derive_seed(self._run.config.train.seed, 6, step, world.rank))
        self._note(
            f"saved on {there} process{'es' if there > 1 else ''} and continued on {world.size}: "
            "dropout, if there is any, draws other masks"
        )

    def _accept(self, state: Mapping[str, Any], step: int, format: int) -> None:
        if state.get("format") != format:
            raise UsageError(
                f"'{self._directory.path}' has format {state.get('format')}, and this is {format}",
                f"it was written by modelcli {state.get('modelcli')}; continue it with that",
            )
        self._check_same(state["identity"], step=step)
        if step > self._run.steps:
            raise UsageError(
                f"'{self._directory.path}' has taken {step} steps, and this run is one "
                f"of {self._run.steps}",
                f"give more --steps than {step}, or choose another --out",
            )
        self._restored = _progress(state["progress"], step)

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

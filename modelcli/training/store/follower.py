"""The run directory as the processes see it that do not write: the first one does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from modelcli.errors import UsageError
from modelcli.files import read_limited
from modelcli.training.distributed.world import World
from modelcli.training.store.checkpoint import MODEL, Checkpoint, load_checkpoint
from modelcli.training.store.metrics import read_metrics
from modelcli.training.store.run_dir import JOB, RunDir, has_begun


def open_run_dir(path: str, world: World, *, resume: bool) -> tuple[RunDir | None, bool]:
    """Open a run directory for a process of a run, and tell whether the run in it goes on.

    A run whose processes were started again goes on by itself.

    Returns:
        None where there is no directory to open.

    Raises:
        UsageError: as :class:`RunDir`, on all processes.
    """
    directory: RunDir | None = None
    with world.together():
        if path and world.is_first:
            resume = resume or _is_of_job(Path(path), world.job)
            directory = RunDir(path, resume=resume)
            if world.job:
                directory.write_text(JOB, world.job)
        elif path:
            directory = FollowerDir(path)
    return directory, world.decide(resume)


def _is_of_job(path: Path, job: str) -> bool:
    """Tell whether a directory has a run that this job has begun."""
    if not job or not has_begun(path) or not os.path.isfile(path / "config.toml"):
        return False
    try:
        return read_limited(path / JOB, limit=1000).decode() == job
    except (OSError, ValueError, UsageError):
        return False


class FollowerDir(RunDir):
    """A run directory that another process owns: what is there is read, and nothing is written."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def close(self) -> None:
        """Nothing is held."""

    def discard_unused(self) -> None:
        """Nothing was made."""

    def write_text(self, name: str, text: str) -> None:
        """Leave it to the first process."""

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Leave it to the first process."""

    def append_change(self, step: int, text: str) -> None:
        """Leave it to the first process."""

    def cut_metrics(self, step: int) -> list[dict[str, Any]]:
        """Return the lines up to a step."""
        return [line for line in read_metrics(self.path) if line["step"] <= step]

    def save(self, model: nn.Module, state: Mapping[str, Any], *, step: int) -> None:
        """Leave it to the first process."""

    def replace_model(self, write: Callable[[Path], None]) -> None:
        """Take part in writing it: the parts of weights come from all processes."""
        write(self.path / MODEL)

    def load(self, accept: Callable[[Checkpoint], None] = lambda _: None) -> Checkpoint | None:
        """Return the newest complete checkpoint, and rename nothing."""
        return load_checkpoint(self.path, accept)

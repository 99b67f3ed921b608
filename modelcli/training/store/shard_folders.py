"""Where the checkpoints of several processes are, and which of them are complete."""

from __future__ import annotations

import os
import re
from pathlib import Path

FOLDER = "checkpoints"
RUN = "run.pt"  # the file of a checkpoint that is written last
_STEP = re.compile(r"step-(\d+)")


def steps_in(run: Path) -> list[int]:
    """Return the steps of the complete checkpoints of a run directory, the newest first."""
    if not os.path.isdir(run / FOLDER):
        return []
    found = [(_STEP.fullmatch(each.name), each) for each in (run / FOLDER).iterdir()]
    steps = [int(name[1]) for name, each in found if name and os.path.isfile(each / RUN)]
    return sorted(steps, reverse=True)


def folder_of(run: Path, step: int) -> Path:
    """Return the folder of a checkpoint."""
    return run / FOLDER / f"step-{step}"

"""Small runs for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelcli.config import load_config
from modelcli.planning.fitting import largest_training_batch
from modelcli.training.run.measure import Score
from modelcli.training.run.observer import Observer, Point
from modelcli.training.run.prepare import Run, prepare
from modelcli.training.run.result import Record
from modelcli.training.run.session import Session
from modelcli.training.run.watch import Watched
from modelcli.training.store.run_dir import RunDir


class Silent(Observer):
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.ticks: list[int] = []
        self.notes: list[str] = []
        self.details: list[str] = []
        self.rows: list[Watched] = []
        self.scores: list[Score] = []

    def point(self, point: Point) -> None:
        self.points.append(point)

    def tick(self, step: int) -> None:
        self.ticks.append(step)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def detail(self, text: str) -> None:
        self.details.append(text)

    def watched(self, rows: list[Watched]) -> None:
        self.rows += rows

    def scored(self, epoch: int, score: Score) -> None:
        self.scores.append(score)


def make_run(*settings: str, **flags: object) -> Run:
    """Prepare a run on the CPU; flags are named by section, as ``train_steps=3``."""
    dotted = {name.replace("_", ".", 1): value for name, value in flags.items()}
    resolved = load_config(settings=settings, flags={"train.device": "cpu", **dotted})
    return prepare(resolved.config, given=resolved.sources, largest=largest_training_batch)


def run(*settings: str, **flags: object) -> Record:
    """Train to the end."""
    return Session(make_run(*settings, **flags), Silent()).train()


def run_in(
    directory: Path,
    flags: Mapping[str, object],
    *,
    resume: bool = False,
    observer: Silent | None = None,
) -> tuple[Run, Record]:
    """Train in a run directory."""
    made = make_run(**flags, train_out=str(directory))
    opened = RunDir(directory, resume=resume)
    try:
        session = Session(made, observer or Silent(), directory=opened)
        return made, session.train(resume=resume)
    finally:
        opened.close()

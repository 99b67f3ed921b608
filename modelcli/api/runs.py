"""``modelcli.train`` and ``modelcli.plot``: a run, and the curves of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.api.shown import Shown
from modelcli.config import Resolved, load_config
from modelcli.isolation import importable
from modelcli.planning.fitting import largest_training_batch
from modelcli.training.distributed.join import joined_here
from modelcli.training.distributed.world import World
from modelcli.training.run.ending import DivergedError
from modelcli.training.run.find_lr import find_lr as sweep_lr
from modelcli.training.run.observer import Observer
from modelcli.training.run.prepare import prepare
from modelcli.training.run.result import Record
from modelcli.training.run.session import Session
from modelcli.training.store.follower import open_run_dir
from modelcli.training.store.metrics import Curve, read_curve
from modelcli.views.plot import curves_body, curves_table, save_curves
from modelcli.views.run_files import write_results
from modelcli.views.table import Table


def train(
    target: str,
    settings: Mapping[str, object] | None = None,
    *,
    config: str | Path | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
    find_lr: bool = False,
) -> Record:
    """Train a model as ``modelcli train`` does.

    In a process that torchrun has started the run is that of all its processes, and each returns
    the record. ``train.nproc`` starts processes on the command line only.

    Args:
        target: a model as on the command line.
        settings: dotted keys of the configuration, as ``{"train.steps": 50}``.
        config: a TOML file, which settings override.
        out: the run directory, ``train.out``: the configuration, metrics, checkpoints,
            ``summary.json`` and ``curve.svg`` go there; None writes nothing.
        observer: is told of every logged step; None tells nobody.
        find_lr: sweep the learning rate first, and train with what is found.

    Returns:
        What the run came to: losses, speed, verdict.

    Raises:
        ConfigError: keys or values are wrong; all are told at once.
        DivergedError: the loss is no longer finite; its ``record`` holds the run up to there.
        ModelcliError: the model cannot be found, built or trained.
    """
    files = (config,) if config is not None else ()
    flags = {"model.target": target, **(settings or {})}
    if out is not None:
        flags["train.out"] = str(out)
    resolved = load_config(*files, flags=flags)
    folder = resolved.config.train.out
    with joined_here(resolved.config) as world:
        return _train(resolved, folder, observer or Observer(), world, find_lr=find_lr)


def _train(
    resolved: Resolved, folder: str, observer: Observer, world: World, *, find_lr: bool
) -> Record:
    directory, resume = open_run_dir(folder, world, resume=False)
    try:
        with importable(None):
            with world.together():
                run = prepare(resolved.config, world, resolved.sources, largest_training_batch)
            with importable(run.trained.source.folder):
                if find_lr:
                    sweep_lr(run)
                session = Session(run, observer, directory=directory, sources=resolved.sources)
                record = session.train(resume=resume)
        if directory is not None:
            write_results(directory, record)
        return record
    except DivergedError as error:
        if directory is not None:
            write_results(directory, error.record)
        raise
    finally:
        if directory is not None:
            directory.discard_unused()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Curves(Shown):
    """The curves of one metric.

    Attributes:
        metric: its name.
        curves: one per run, with its points (step, value).
    """

    metric: str
    curves: tuple[Curve, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli plot --format json`` writes."""
        return curves_body(self.curves, self.metric)

    def tables(self) -> tuple[Table, ...]:
        """Return the table of the command."""
        return (curves_table(self.curves, self.metric),)

    def save(self, path: str | Path) -> None:
        """Draw the curves into an ``.svg``, or a ``.png`` if matplotlib is there.

        Raises:
            UsageError: another suffix, or the file cannot be written.
            UnavailableError: a ``.png`` without matplotlib.
        """
        save_curves(self.curves, self.metric, Path(path))


def plot(*runs: str | Path, metric: str = "loss") -> Curves:
    """Read a metric of run directories.

    Args:
        runs: directories, as ``train`` made them.
        metric: ``loss``, ``accuracy``, ``lr``, ``samples_per_s``, ...

    Raises:
        UsageError: a directory is no run, or has no such metric.
    """
    found = tuple(read_curve(run, metric) for run in dict.fromkeys(map(Path, runs)))
    return Curves(metric=metric, curves=found)

"""What ``train`` does once its configuration stands: the run, its record, its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcli.cli._output import Output
from modelcli.cli._ranks import among_ranks
from modelcli.cli._startup import prepare_long_run
from modelcli.cli._target import note_remarks
from modelcli.cli._train_show import note_length, note_prediction, show, show_sweep
from modelcli.config import Resolved, load_config
from modelcli.errors import RunFailedError
from modelcli.views.run_files import write_results
from modelcli.views.train_verdict import verdict_text

if TYPE_CHECKING:
    from modelcli.training.distributed.world import World
    from modelcli.training.run.ending import DivergedError, StoppedError
    from modelcli.training.run.verdict import Verdict


def train(
    resolved: Resolved,
    out: Output,
    *,
    lines: bool,
    saved: str | None,
    allow_changed: bool = False,
    expect: Verdict | None = None,
    find_lr: bool = False,
) -> None:
    """Train, show the record and write it to the run directory.

    Args:
        resolved: the configuration with its sources.
        out: where the record goes.
        lines: progress and record as JSON lines.
        saved: the configuration of the run that is continued.
        allow_changed: continue it although its code, data or configuration changed.
        expect: the verdict that the run is to come to.
        find_lr: sweep the learning rate first.

    Raises:
        DivergedError: the loss stopped being finite; the record was shown before.
        RunFailedError: the model ends the program, or the verdict is another one.
    """
    prepare_long_run()
    with among_ranks(resolved.config) as world:
        _train(resolved, out, world, lines, saved, allow_changed, expect, find_lr)


def _train(
    resolved: Resolved,
    out: Output,
    world: World,
    lines: bool,
    saved: str | None,
    allow_changed: bool,
    expect: Verdict | None,
    find_lr: bool,
) -> None:
    from modelcli.cli._progress import TrainProgress
    from modelcli.isolation import importable
    from modelcli.planning.fitting import largest_training_batch
    from modelcli.training.run.ending import DivergedError, StoppedError
    from modelcli.training.run.observer import Observer
    from modelcli.training.run.prepare import prepare
    from modelcli.training.run.session import Session
    from modelcli.training.store.follower import open_run_dir
    from modelcli.training.store.state import check_same_run, identify

    config = resolved.config
    if saved is not None and not allow_changed:
        there, here = identify(load_config(saved).config), identify(config)
        with world.together():
            check_same_run(there, here, directory=config.train.out)
    shown = TrainProgress(out, lines=lines)
    progress = shown if world.is_first else Observer()
    failure: DivergedError | StoppedError | None = None
    directory, resume = open_run_dir(config.train.out, world, resume=saved is not None)
    if resume and saved is None:
        progress.note("started again after a failure")
    try:
        with importable(None):  # what the model prints is no part of the result
            with world.together():
                run = prepare(config, world, resolved.sources, largest_training_batch)
            for remark in run.trained.remarks:
                progress.note(remark)
            with importable(run.trained.source.folder):
                if world.is_first:
                    note_length(run, out, is_named="model.target" in resolved.sources)
                if find_lr:
                    show_sweep(run, out)
                session = Session(
                    run, progress, directory=directory, sources=resolved.sources,
                    narrate=out.verbose, allow_changed=allow_changed,
                )  # fmt: skip
                try:
                    record = session.train(resume=resume)
                except DivergedError as error:  # what it came to is told all the same
                    failure, record = error, error.record
                except StoppedError as error:
                    if error.record is None:
                        raise
                    failure, record, expect = error, error.record, None
        shown.clear()
        if world.is_first:
            note_remarks(out, run.trained.source.remarks)
            show(record, out, lines=lines)
            if run.device.type == "cuda":
                note_prediction(out, run.config, run.device, record.peak_memory_bytes)
        if directory is not None and record.steps_are_done:
            write_results(directory, record)
    except SystemExit as error:  # from where no forward is expected to end the program
        raise RunFailedError(
            f"'{config.model.target}' ends the program: SystemExit: {error}",
            "MODELCLI_DEBUG=1 shows where",
        ) from error
    finally:
        shown.clear()
        if directory is not None:
            directory.discard_unused()
    if failure is not None and expect != "diverged":
        raise failure
    if expect is not None and record.verdict != expect:
        with world.together():
            raise RunFailedError(
                f"the verdict is '{record.verdict}', and '{expect}' was expected",
                verdict_text(record) or "no step was taken",
            )

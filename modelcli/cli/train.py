"""``modelcli train``: a run from a configuration to its record."""

from __future__ import annotations

import dataclasses
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelcli import __version__
from modelcli.cli._options import InputOption, KwargOption, QuietOption, SetOption, VerboseOption
from modelcli.cli._output import Format, Output
from modelcli.cli._record import record_body, record_table, watched_table
from modelcli.cli._startup import prepare_long_run
from modelcli.cli._terminal import console_on, is_terminal
from modelcli.config import Resolved, dump_config, load_config
from modelcli.errors import RunFailedError, UsageError
from modelcli.loading.grammar import make_request
from modelcli.loading.target import parse_target
from modelcli.views.document import dump_json

if TYPE_CHECKING:
    from modelcli.training.run.result import Record
    from modelcli.training.store.run_dir import RunDir

EXAMPLES = (
    "modelcli train lenet --steps 200",
    "modelcli train mlp --data digits --epochs 5 --optimizer sgd --lr 0.05",
    "modelcli train --config configs/linear_regression.toml",
    "modelcli train net.py:Net --input 1x1x28x28 --device cuda --out runs/net",
)


class TrainFormat(StrEnum):
    """How the result is written on stdout."""

    TABLE = "table"
    TSV = "tsv"
    JSON = "json"
    MD = "md"
    JSONL = "jsonl"


def _option(*names: str, help: str, metavar: str | None = None) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        *names, help=help, metavar=metavar, show_default=False
    )
    return option


# Every default is None, so that a flag that was not given never overrides a file.
def command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A registered name, PATH.py:NAME, pkg.mod:NAME or timm:NAME.  [default: lenet]",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        str | None, _option("--config", "-c", metavar="FILE", help="A configuration in TOML.")
    ] = None,
    settings: SetOption = None,
    data: Annotated[
        str | None,
        _option(
            "--data",
            metavar="NAME",
            help="prototypes, linear, reconstruction, teacher, digits, or FILE.npz or "
            "FILE.safetensors with x and y.  [default: by the model's task]",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        _option(
            "--samples",
            help="Samples made, once.  [default: with --steps, fresh ones at every step]",
        ),
    ] = None,
    validation: Annotated[
        float | None, _option("--validation", help="Share of the samples held out.  [default: 0.1]")
    ] = None,
    steps: Annotated[
        int | None, _option("--steps", "-n", help="Optimiser steps.  [default: 500]")
    ] = None,
    epochs: Annotated[
        int | None, _option("--epochs", "-e", help="Passes over the samples, in place of --steps.")
    ] = None,
    batch_size: Annotated[
        int | None, _option("--batch-size", "-b", help="Samples of one step.  [default: 64]")
    ] = None,
    lr: Annotated[
        float | None, _option("--lr", help="Learning rate.  [default: by the optimiser]")
    ] = None,
    optimizer: Annotated[
        str | None,
        _option(
            "--optimizer",
            "-o",
            metavar="NAME",
            help="sgd, adam, adamw, rmsprop, adagrad or another of torch.optim.  [default: adam]",
        ),
    ] = None,
    momentum: Annotated[float | None, _option("--momentum", help="Momentum.")] = None,
    weight_decay: Annotated[float | None, _option("--weight-decay", help="Weight decay.")] = None,
    loss: Annotated[
        str | None,
        _option(
            "--loss",
            metavar="NAME",
            help="cross_entropy, mse, huber, l1, ...  "
            "[default: cross_entropy for labels, mse for values]",
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        _option(
            "--schedule",
            metavar="NAME",
            help="constant, cosine, linear or step.  [default: constant]",
        ),
    ] = None,
    warmup: Annotated[
        int | None, _option("--warmup", help="Steps in which the learning rate rises.")
    ] = None,
    clip: Annotated[
        float | None, _option("--clip", help="Largest norm of all gradients together.")
    ] = None,
    accumulate: Annotated[
        int | None, _option("--accumulate", help="Batches whose gradients are added for one step.")
    ] = None,
    init: Annotated[
        str | None,
        _option("--init", metavar="SCHEME", help="A scheme of torch.nn.init, as normal:std=0.01."),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        _option(
            "--freeze", metavar="GLOB", help="Parameters not to train, as 'conv*'. Repeatable."
        ),
    ] = None,
    seed: Annotated[
        int | None, _option("--seed", help="Of weights, data and order.  [default: 0]")
    ] = None,
    device: Annotated[
        str | None,
        _option(
            "--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.  [default: auto]"
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        _option("--dtype", metavar="NAME", help="float32, float64, bfloat16 or float16."),
    ] = None,
    amp: Annotated[
        str | None, _option("--amp", metavar="bf16|fp16", help="Automatic mixed precision.")
    ] = None,
    log_every: Annotated[
        int | None,
        _option("--log-every", help="Steps between two lines, each with the mean loss of them."),
    ] = None,
    overfit: Annotated[
        bool | None, _option("--overfit", help="Train on one batch: can the model fit it?")
    ] = None,
    watch: Annotated[
        bool | None,
        _option("--watch", help="Norms of every weight, gradient and update, every epoch."),
    ] = None,
    engine: Annotated[
        str | None,
        _option("--engine", metavar="NAME", help="eager, compile, graph or auto.  [default: auto]"),
    ] = None,
    matmul_precision: Annotated[
        str | None,
        _option(
            "--matmul-precision",
            metavar="NAME",
            help="What float32 products may be rounded to: highest, high or medium.",
        ),
    ] = None,
    roofline: Annotated[
        bool | None,
        _option("--roofline", help="Also measure what a large matrix product reaches here."),
    ] = None,
    run_dir: Annotated[
        str | None,
        _option("--out", metavar="DIR", help="Write configuration, metrics, weights and curve."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out from its last checkpoint.")
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        _option(
            "--checkpoint-every",
            help="Steps between two checkpoints.  [default: under 2 % of the time]",
        ),
    ] = None,
    tensorboard: Annotated[
        bool | None, _option("--tensorboard", help="Also write event files to --out.")
    ] = None,
    inputs: InputOption = None,
    kwargs: KwargOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the whole configuration with its sources, and stop."),
    ] = False,
    format: Annotated[
        TrainFormat | None, _option("--format", help="How the result is written.  [default: table]")
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train a model on data whose best possible result is known, and say what it learned."""
    if model is not None and model.endswith(".toml") and config is None:
        model, config = None, model
    saved = _saved_config(run_dir) if resume else None
    resolved = load_config(
        *(file for file in (saved, config) if file is not None),
        settings=settings or (),
        flags={
            "model.target": model,
            "model.init": init,
            "data.name": data,
            "data.samples": samples,
            "data.validation": validation,
            "data.input": inputs or None,
            "data.kwarg": kwargs or None,
            "train.steps": steps,
            "train.epochs": epochs,
            "train.batch_size": batch_size,
            "train.seed": seed,
            "train.device": device,
            "train.dtype": dtype,
            "train.amp": amp,
            "train.log_every": log_every,
            "train.accumulate": accumulate,
            "train.clip": clip,
            "train.freeze": freeze or None,
            "train.overfit": overfit,
            "train.watch": watch,
            "train.engine": engine,
            "train.matmul_precision": matmul_precision,
            "train.roofline": roofline,
            "train.out": run_dir,
            "train.checkpoint_every": checkpoint_every,
            "train.tensorboard": tensorboard,
            "optimizer.name": optimizer,
            "optimizer.lr": lr,
            "optimizer.momentum": momentum,
            "optimizer.weight_decay": weight_decay,
            "loss.name": loss,
            "schedule.name": schedule,
            "schedule.warmup": warmup,
        },
    )
    _check_names(resolved)
    wanted = format or TrainFormat.TABLE
    out = Output(
        "train",
        target=resolved.config.model.target,
        format=Format.JSON if wanted is TrainFormat.JSONL else Format(wanted),
        quiet=quiet,
        verbose=verbose,
    )
    if dry_run:
        out.text(dump_config(resolved).rstrip("\n"))
        return
    _train(resolved, out, lines=wanted is TrainFormat.JSONL, saved=saved)


def _saved_config(run_dir: str | None) -> str:
    """Return the configuration of the run to continue."""
    if run_dir is None:
        raise UsageError("--resume needs the run's directory", "give it with --out DIR")
    path = Path(run_dir) / "config.toml"
    if not path.is_file():
        raise UsageError(
            f"there is no run to resume in '{run_dir}'", "leave out --resume to start one"
        )
    return str(path)


def _check_names(resolved: Resolved) -> None:
    """Refuse what is mistyped before torch is imported."""
    parse_target(resolved.config.model.target)
    make_request(resolved.config.data.input, None, resolved.config.data.kwarg)
    if resolved.config.model.init:
        from modelcli.initialise.rules import parse_init

        parse_init(resolved.config.model.init)
    data = Path(resolved.config.data.name)
    if data.suffix in (".npz", ".safetensors") and not data.is_file():
        raise UsageError(f"data file '{data}' does not exist", "it holds arrays named x and y")
    train = resolved.config.train
    for flag, given in (
        ("--tensorboard", train.tensorboard),
        ("--checkpoint-every", train.checkpoint_every is not None),
    ):
        if given and not train.out:
            raise UsageError(f"{flag} needs a run directory", "give one with --out DIR")
    if train.steps is not None and resolved.config.schedule.warmup > train.steps:
        raise UsageError(
            f"a warm-up of {resolved.config.schedule.warmup} steps is longer than the run of "
            f"{train.steps}",
            "give more --steps, or a shorter --warmup",
        )


def _train(resolved: Resolved, out: Output, *, lines: bool, saved: str | None) -> None:
    from modelcli.cli._progress import TrainProgress
    from modelcli.isolation import importable
    from modelcli.training.run.ending import DivergedError
    from modelcli.training.run.prepare import prepare
    from modelcli.training.run.session import Session
    from modelcli.training.store.run_dir import RunDir
    from modelcli.training.store.state import check_same_run, identify

    prepare_long_run()
    config = resolved.config
    if saved is not None:
        there, here = identify(load_config(saved).config), identify(config)
        check_same_run(there, here, directory=config.train.out)
    progress = TrainProgress(out, lines=lines)
    failure: DivergedError | None = None
    directory = RunDir(config.train.out, resume=saved is not None) if config.train.out else None
    try:
        with importable(None):  # what the model prints is no part of the result
            run = prepare(config)
            with importable(run.trained.source.folder):
                session = Session(
                    run,
                    progress,
                    directory=directory,
                    sources=resolved.sources,
                    narrate=out.verbose,
                )
                try:
                    record = session.train(resume=saved is not None)
                except DivergedError as error:  # what it came to is told all the same
                    failure, record = error, error.record
        progress.clear()
        if lines:
            out.text(json.dumps({"record": json.loads(dump_json(record_body(record)))}))
        else:
            show_record(record, out)
        if directory is not None:
            _write_results(directory, record)
    except SystemExit as error:  # from where no forward is expected to end the program
        raise RunFailedError(
            f"'{config.model.target}' ends the program: SystemExit: {error}",
            "MODELCLI_DEBUG=1 shows where",
        ) from error
    finally:
        progress.clear()
        if directory is not None:
            directory.close()
    if failure is not None:
        raise failure


def _write_results(directory: RunDir, record: Record) -> None:
    """Write what the run came to, and its curve."""
    import torch

    from modelcli.views.curve_files import svg_curves

    envelope = {
        "schema": "modelcli.train/1",
        "modelcli": __version__,
        "torch": str(torch.__version__),
        "target": record.target,
    }
    directory.write_text("summary.json", dump_json({**envelope, **record_body(record)}) + "\n")
    curve = [(float(point.step), point.loss) for point in record.points]
    title = f"{record.target}: {record.objective}"
    directory.write_text("curve.svg", svg_curves({"loss": curve}, title=title))


def show_record(record: Record, out: Output) -> None:
    """Write the record of a run, with its curve where a person reads it."""
    table = record_table(record)
    if is_terminal(sys.stdout):
        from modelcli.views.curves import draw_curve

        points = [(point.step, point.loss) for point in record.points]
        width = min(80, console_on(sys.stdout).width) - 4  # within the frame
        curve = draw_curve([points], width=width)
        title = f"{record.target}, {record.objective} by step"
        table = dataclasses.replace(table, notes=tuple(curve), title=title, framed=True)
    last = [row for row in record.watched if row.step == record.watched[-1].step]
    tables = (table, watched_table(last)) if last else (table,)
    out.result(record_body(record), *tables)

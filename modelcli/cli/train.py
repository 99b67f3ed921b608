"""``modelcli train``: a run from a configuration to its record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from modelcli.cli._format import Format, TrainFormatOption
from modelcli.cli._options import QuietOption, SetOption, VerboseOption
from modelcli.cli._output import Output
from modelcli.cli._ranks import start_processes
from modelcli.cli._train_options import GroupedCommand, flags_of, option, with_key_options
from modelcli.cli._train_run import train
from modelcli.config import ARRAY_SUFFIXES, Resolved, dump_config, load_config
from modelcli.errors import UsageError
from modelcli.loading.grammar import make_request
from modelcli.loading.target import parse_target
from modelcli.training.run.verdict import Verdict

COMMAND_CLASS = GroupedCommand
EXAMPLES = (
    "modelcli train lenet --steps 200",
    "modelcli train mlp --data digits --epochs 5 --optimizer sgd --lr 0.05",
    "modelcli train --config configs/linear_regression.toml",
    "modelcli train net.py:Net --input 1x1x28x28 --device cuda --out runs/net",
)


@with_key_options
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
        str | None, option("--config", "-c", metavar="FILE", help="A configuration in TOML.")
    ] = None,
    settings: SetOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out from its last checkpoint.")
    ] = False,
    allow_changed: Annotated[
        bool,
        typer.Option(
            "--allow-changed",
            help="With --resume: continue although code, data or configuration changed.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the whole configuration with its sources, and stop."),
    ] = False,
    expect: Annotated[
        Verdict | None,
        option("--expect", metavar="VERDICT", help="Exit 1 unless the run's verdict is this one."),
    ] = None,
    format: TrainFormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    **given: Any,
) -> None:
    """Train a model on data of a known best, and say what it learns."""
    if model is not None and model.endswith(".toml") and config is None:
        model, config = None, model
    flags = {**flags_of(given), "model.target": model}
    saved = _saved_config(given.get("train_out")) if resume else None
    resolved = load_config(
        *(file for file in (saved, config) if file is not None),
        settings=settings or (),
        flags=flags,
    )
    _check_names(resolved)
    out = Output(
        "train",
        target=resolved.config.model.target,
        format=format,
        quiet=quiet,
        verbose=verbose,
    )
    if dry_run:
        out.text(dump_config(resolved).rstrip("\n"))
        return
    code = start_processes(resolved.config)
    if code is not None:
        raise typer.Exit(code)
    train(
        resolved,
        out,
        lines=format is Format.JSONL,
        saved=saved,
        allow_changed=allow_changed,
        expect=expect,
    )


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
    if data.suffix in ARRAY_SUFFIXES and not data.is_file():
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

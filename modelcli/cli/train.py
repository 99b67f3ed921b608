"""``modelcli train``: a run from a configuration to its record."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelcli.cli._format import Format, TrainFormatOption
from modelcli.cli._options import QuietOption, SetOption, VerboseOption
from modelcli.cli._output import Output
from modelcli.cli._ranks import first_tells, start_processes
from modelcli.cli._train_checks import check_names, check_sweep, owner_remarks, saved_config
from modelcli.cli._train_options import GroupedCommand, flags_of, option, with_key_options
from modelcli.cli._train_run import train
from modelcli.config import dump_config, load_config
from modelcli.training.run.verdict import Verdict

COMMAND_CLASS = GroupedCommand
EXAMPLES = (
    "modelcli train lenet --steps 200",
    "modelcli train mlp --data digits --epochs 5 --optimizer sgd --lr 0.05",
    "modelcli train --config configs/linear_regression.toml",
    "modelcli train lenet --find-lr",
    "modelcli train torchvision:resnet18 --batch-size 8 --steps 3",
    "modelcli train net.py:Net --input 1x1x28x28 --device cuda --out runs/net",
)


@with_key_options
def command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A registered name, PATH.py:NAME, pkg.mod:NAME, hf:DIR, torchvision:NAME or "
            "timm:NAME.  [default: lenet]",
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
    find_lr: Annotated[
        bool,
        option("--find-lr", help="Sweep the learning rate first, and train with what is found."),
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
    with first_tells():
        if model is not None and model.endswith(".toml") and config is None:
            model, config = None, model
        flags = {**flags_of(given), "model.target": model}
        saved = saved_config(given.get("train_out")) if resume else None
        resolved = load_config(
            *(file for file in (saved, config) if file is not None),
            settings=settings or (),
            flags=flags,
        )
        check_names(resolved)
        check_sweep(resolved, find_lr=find_lr, resume=resume)
    out = Output(
        "train",
        target=resolved.config.model.target,
        format=format,
        quiet=quiet,
        verbose=verbose,
    )
    for remark in owner_remarks(saved, resolved):
        out.note(remark)
    if dry_run:
        out.text(dump_config(resolved).rstrip("\n"))
        return
    code = start_processes(resolved)
    if code is not None:
        raise typer.Exit(code)
    train(
        resolved,
        out,
        lines=format is Format.JSONL,
        saved=saved,
        allow_changed=allow_changed,
        expect=expect,
        find_lr=find_lr,
    )

"""``modelcli params``: what tensors a model or a checkpoint is made of."""

from __future__ import annotations

from typing import Annotated

import typer

from modelcli.cli._options import FormatOption, QuietOption, SetOption, VerboseOption
from modelcli.cli._output import Format, Output
from modelcli.errors import UsageError
from modelcli.views.params import (
    SORTS,
    ParamRow,
    checkpoint_rows,
    model_rows,
    params_body,
    params_table,
    select_rows,
    sum_rows,
)
from modelcli.views.text import plural

EXAMPLES = (
    "modelcli params lenet",
    "modelcli params mlp --sort numel --match '*.weight'",
    "modelcli params lenet --format json",
)


def command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A model (registered name, PATH.py:NAME, timm:NAME, ...) or a checkpoint: "
            ".safetensors, .pt, .pth, .bin, .ckpt, *.index.json, or a folder of them.",
            show_default=False,
        ),
    ],
    buffers: Annotated[bool, typer.Option("--buffers", help="List buffers too.")] = False,
    match: Annotated[
        str | None,
        typer.Option(
            "--match", metavar="GLOB", help="Only names that match, as 'conv*'.", show_default=False
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="name|numel",
            help="Order the rows; by default as the model or the file has them.",
            show_default=False,
        ),
    ] = None,
    trainable: Annotated[
        bool | None,
        typer.Option(
            "--trainable/--frozen", help="Only trainable, or only frozen ones.", show_default=False
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="KEY",
            help="Which dictionary of a .pt file, as optimizer.",
            show_default=False,
        ),
    ] = None,
    settings: SetOption = None,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List every parameter of a model, or every tensor of a checkpoint, with shape and size."""
    if sort is not None and sort not in SORTS:
        raise UsageError(f"--sort cannot be '{sort}'", f"it is one of {', '.join(SORTS)}")
    out = Output(
        "params",
        target=target,
        format=format or Format.TABLE,
        quiet=quiet,
        verbose=verbose,
    )
    rows, notes, extra = _rows(target, key=key, settings=settings or [])
    shown = select_rows(rows, match=match, trainable=trainable, buffers=buffers, sort=sort)
    totals = sum_rows(shown)
    hidden = 0 if buffers else sum(row.kind == "buffer" for row in rows)
    if hidden:
        notes.append(f"{plural(hidden, 'buffer')} not listed (--buffers)")
    out.result({**params_body(shown, totals), **extra}, params_table(shown, totals, notes=notes))


def _rows(
    target: str, *, key: str | None, settings: list[str]
) -> tuple[list[ParamRow], list[str], dict[str, object]]:
    """Return the rows of a target, lines to print below them, and what JSON has besides."""
    from modelcli.loading.target import TargetKind, parse_target

    if parse_target(target).kind is TargetKind.CHECKPOINT:
        from modelcli.checkpoints.read import read_checkpoint

        checkpoint = read_checkpoint(target, key=key)
        return checkpoint_rows(checkpoint), [], {}
    rows = _model_rows(target, settings)
    return rows, [], {}


def _model_rows(target: str, settings: list[str]) -> list[ParamRow]:
    from modelcli.cli._tensors import list_tensors
    from modelcli.config import parse_settings
    from modelcli.loading.build import build
    from modelcli.loading.source import find_source

    source = find_source(target, parse_settings(settings).model_kwargs)
    return model_rows(list_tensors(build(source, execution="meta")))

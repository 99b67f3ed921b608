"""The options that several commands share, each written once."""

from __future__ import annotations

from typing import Annotated

import typer

from modelcli.cli._output import Format
from modelcli.loading.types import Execution, Mode

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A registered name, PATH.py:NAME, pkg.mod:NAME, torchvision:NAME, timm:NAME, "
        "hf:DIR, or CONFIG.toml.",
        show_default=False,
    ),
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="[NAME:][DTYPE:]SHAPE",
        help="One input tensor with its batch, as 1x3x224x224 or input_ids:int64:1x128. "
        "Repeatable.",
        show_default=False,
    ),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size", "-b", help="Replace the first dimension of every input.", show_default=False
    ),
]
KwargOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kwarg",
        metavar="KEY=VALUE",
        help="A plain value for forward, as choice=linear2. Repeatable.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="A constructor argument, as hidden_features=512, or a dotted configuration key. "
        "Repeatable.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format", help="How the result is written.  [default: table]", show_default=False
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only the result: no remarks, no lines below it.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more about how.")]
AllowRealOption = Annotated[
    bool,
    typer.Option(
        "--allow-real",
        help="Let a model that only runs for real be allocated, whatever its size.",
    ),
]


ModeOption = Annotated[
    Mode | None,
    typer.Option("--mode", help="The training flag.  [default: eval]", show_default=False),
]
ExecutionOption = Annotated[
    Execution | None,
    typer.Option(
        "--execution",
        help="Insist on one way of running the model instead of the first that works.",
        show_default=False,
    ),
]
